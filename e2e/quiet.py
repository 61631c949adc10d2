"""A minute in which nothing happens: what stands still meanwhile, and who asked for what.

Begins in `test_standstill`; `test_quiet` judges it. One Rollout is paused while its metrics are
asked each second, one has failed, one is complete, and a run soaks.
"""

import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from e2e import realm as realms
from e2e.ground import engine
from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground.audit import Request
from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.waiting import until
from e2e.realm import Realm, application, routed
from e2e.tenancy import Tenant
from fleet.api.names import FLEETROLLOUTS, ROLLOUTS

SECONDS = 60.0
SILENCE, PATIENCE = 7.0, 60.0
"""The minute begins after this many silent seconds, within so many: counters may be 5 s late."""
RENEWAL = ("update", "leases.coordination.k8s.io")
METRIC = {"name": "error-rate", "threshold": 5, "interval": "1s", "window": "10s"}
CANARY: Mapping[str, Any] = {
    "canary": {
        "steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}],
        "analysis": {"metrics": [METRIC]},
    }
}
SIMPLE: Mapping[str, Any] = {"simple": {}}
SOAK = [{"name": "all", "remaining": True, "after": [{"soak": "1h"}]}]
WANTED = {
    "paused": ("Paused", "paused-2", "Progressing"),
    "failed": ("Failed", "failed-2", "Halted"),
    "completed": ("Completed", "completed-1", "Succeeded"),
    "soaking": ("Completed", "soaking-1", "Soaking"),
}
"""Application → phase of its Rollout, its run, phase of the run."""


@dataclass(kw_only=True)
class Minute:
    """It has begun; `judged` waits for its end."""

    realm: Realm
    tenant: Tenant
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    checks: float = 0.0

    def requests(self) -> list[tuple[str, Request]]:
        """(cluster, request) of hub and engines in that minute, once it is over."""
        end = self.began + timedelta(seconds=SECONDS)
        time.sleep(max((end - datetime.now(UTC)).total_seconds(), 0))
        return [
            (name, request)
            for name, request in asked(self.realm)
            if self.began <= request.received < end
        ]


def stands(minute: Minute, name: str) -> bool:
    """Whether that Application is where it was when the minute began."""
    return _is(minute.tenant, name, WANTED[name])


def asked(realm: Realm) -> Iterator[tuple[str, Request]]:
    """Every request of hub and engines in any audit log so far, with the cluster's name."""
    planes = {"hub": realm.plane} | {name: one.plane for name, one in realm.members.items()}
    for name, plane in planes.items():
        for user in (hubs.USER, members.HUB_USER, engine.USER):
            yield from ((name, request) for request in plane.audit.read(user=user))


def is_renewal_or_watch(request: Request) -> bool:
    """Whether it may happen while nothing happens."""
    return request.verb == "watch" or (request.verb, request.resource) == RENEWAL


def checks(minute: Minute) -> float:
    """How many queries the site's Prometheus has answered."""
    url = f"{minute.realm.site.prometheus.url}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        rows = answer.read().decode().splitlines()
    mine = [r for r in rows if r.startswith("prometheus_http_requests_total") and "/query" in r]
    return sum(float(row.rpartition(" ")[2]) for row in mine)


@contextmanager
def begun(realm: Realm) -> Iterator[Minute]:
    """Bring everything into its state, wait for silence, and let the minute begin."""
    tenant = realm.tenant("quiet", "site")
    gateway = realm.site.gateway.url
    loads = [
        LoadGenerator(Load(url=gateway, host=f"{name}.example.com", rate=8, duration=SECONDS * 15))
        for name in ("paused", "failed")
    ]
    _deliver(tenant, "v1", "v1")
    for name in WANTED:
        until(partial(lambda n: _phase(tenant, n) == "Completed", name), f"{name}: v1", within=40)
    with realms.sending(*loads):
        _deliver(tenant, "v2", "v2-errors-60")
        for name, wanted in WANTED.items():
            _await(tenant, name, wanted)
        loads[1].stop()
        until(lambda: _is_silent(realm), "silence", within=PATIENCE, every=0.5)
        minute = Minute(realm=realm, tenant=tenant)
        minute.checks = checks(minute)
        yield minute


def _deliver(tenant: Tenant, image: str, failing: str) -> None:
    realms.deliver(
        tenant,
        routed(application("paused", f"sample:{image}", CANARY)),
        routed(application("failed", f"sample:{failing}", CANARY)),
        application("completed", "sample:v1", SIMPLE),
        application("soaking", "sample:v1", SIMPLE, waves=SOAK),
    )


def _phase(tenant: Tenant, name: str) -> str:
    return str(_rollout(tenant, name).get("phase", ""))


def _rollout(tenant: Tenant, name: str) -> dict[str, Any]:
    path = ROLLOUTS.path(tenant.namespace, name)
    code, found = tenant.puppets["site"].plane.call("GET", path)
    return found.get("status") or {} if code == 200 else {}


def _await(tenant: Tenant, name: str, wanted: tuple[str, str, str]) -> None:
    try:
        until(lambda: _is(tenant, name, wanted), f"{name}: {wanted}", within=60)
    except TimeoutError as error:
        run = tenant.get(FLEETROLLOUTS, wanted[1]).get("status")
        raise TimeoutError(f"{error}; it is {_rollout(tenant, name)} in {run}") from None


def _is(tenant: Tenant, name: str, wanted: tuple[str, str, str]) -> bool:
    """Whether Rollout and run are there; a metric that is asked has been judged once."""
    phase, run, run_phase = wanted
    status = _rollout(tenant, name)
    metrics = (status.get("analysis") or {}).get("metrics") or ()
    judged = phase != "Paused" or [item["verdict"] for item in metrics] == ["Passed"]
    now = (tenant.get(FLEETROLLOUTS, run).get("status") or {}).get("phase")
    return judged and (status.get("phase"), now) == (phase, run_phase)


def _is_silent(realm: Realm) -> bool:
    loud = [request for _, request in asked(realm) if not is_renewal_or_watch(request)]
    last = max(request.answered for request in loud)
    return (datetime.now(UTC) - last).total_seconds() > SILENCE
