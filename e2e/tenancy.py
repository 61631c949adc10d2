"""A tenant of the hub: a namespace with its own MemberClusters, a Fleet and Applications.

Used by the hub's tests: hub and members are shared by a module, tenants are not, so no test sees
another's objects. Everything is written with plain requests, because kubectl takes longer than what
is to be measured.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground.audit import Request
from e2e.ground.controlplane import ControlPlane
from e2e.ground.hub import Hub
from e2e.ground.member import Puppet
from e2e.ground.waiting import until
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    SECRETS,
    Resource,
)

NAME = "checkout"
HOOKS = {"KULTA_HOOK_HOSTS": "localhost", "KULTA_ALLOW_LOOPBACK": "true"}
"""The hub may ask the hooks of this machine."""
STEPS = {"canary": {"steps": [{"setWeight": 50}, {"setWeight": 100}]}}


@dataclass(kw_only=True)
class World:
    """One hub and its members, ready and running."""

    plane: ControlPlane
    hub: Hub
    puppets: Mapping[str, Puppet]
    limit: int = 0
    """How many tenants the planes are prepared for."""
    tenants: int = 0

    def tenant(self) -> "Tenant":
        """A new tenant, registered in every member, with a Fleet of all of them."""
        self.tenants += 1
        assert self.tenants <= self.limit, (
            f"the planes are prepared for {self.limit} tenants: raise TENANTS in e2e/conftest.py"
        )
        found = Tenant(world=self, namespace=f"team-{self.tenants}")
        found.settle()
        return found


@contextmanager
def running(
    plane: ControlPlane, others: tuple[ControlPlane, ...], folder: Path, tenants: int
) -> Iterator[World]:
    """Prepare the planes for that many tenants, start engines on strings and the hub."""
    spaces = [f"team-{number + 1}" for number in range(tenants)]
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(members.prepare, other, *spaces) for other in others]
        done.append(pool.submit(hubs.prepare, plane))
        for future in done:
            future.result()
    for name in spaces:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        plane.call("POST", "/api/v1/namespaces", body)
    with ExitStack() as stack:
        puppets = {other.name: stack.enter_context(Puppet(other)) for other in others}
        hub = stack.enter_context(Hub(plane, folder, **HOOKS))
        yield World(plane=plane, hub=hub, puppets=puppets, limit=tenants)


@dataclass(kw_only=True)
class Tenant:
    """One namespace, the same in hub and members."""

    world: World
    namespace: str
    servers: dict[str, str] = field(default_factory=dict)
    """Other ways to a member, e.g. through a proxy, by its name."""

    @property
    def puppets(self) -> Mapping[str, Puppet]:
        return self.world.puppets

    def settle(self) -> None:
        """Register every member and wait until the hub believes it."""
        for name, puppet in self.puppets.items():
            self.register(name, members.kubeconfig(puppet.plane))
        fleet = {"members": {"names": sorted(self.puppets)}}
        self.put(FLEETS, {"metadata": {"name": "all"}, "spec": fleet})
        for name in self.puppets:
            self.await_condition(name, "EngineHealthy", "True")

    def register(self, name: str, kubeconfig: str, **spec: Any) -> None:
        """Write the Secret and the MemberCluster."""
        self.put(SECRETS, members.secret(self.namespace, name, kubeconfig))
        cluster = members.member_cluster(self.namespace, name, self.namespace)
        cluster["spec"] |= spec
        self.put(MEMBERCLUSTERS, cluster)

    def deliver(
        self,
        image: str,
        *,
        name: str = NAME,
        overrides: Sequence[Mapping[str, Any]] = (),
        **policy: Any,
    ) -> None:
        """Write the Application with that image."""
        containers = [{"name": "app", "image": image}]
        labels = {"app": name}
        spec = {
            "destination": {"fleet": "all"},
            "workload": {
                "replicas": 2,
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
                "service": {"name": NAME, "port": 80},
            },
            "deliveryPolicy": {"strategy": STEPS, **policy},
            **({"overrides": overrides} if overrides else {}),
        }
        self.put(APPLICATIONS, {"metadata": {"name": name}, "spec": spec})

    def complete(self, image: str, *clusters: str) -> None:
        """The engines of these members (default: all) bring the image everywhere."""
        for cluster in clusters or self.puppets:
            self.puppets[cluster].complete(self.namespace, NAME, image)

    def put(self, resource: Resource, manifest: Mapping[str, Any]) -> None:
        """Create, or change by merge patch."""
        meta = {**manifest["metadata"], "namespace": self.namespace}
        body = {
            **manifest,
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": meta,
        }
        call = self.world.plane.call
        code, answer = call("POST", resource.path(self.namespace), body)
        if code == 409:
            code, answer = call("PATCH", resource.path(self.namespace, meta["name"]), body)
        assert code < 300, answer

    def get(self, resource: Resource, name: str) -> dict[str, Any]:
        """An object of the hub; empty when it is not there."""
        code, found = self.world.plane.call("GET", resource.path(self.namespace, name))
        return found if code == 200 else {}

    def run(self, number: int) -> dict[str, Any]:
        """The status of that run of the Application."""
        return self.get(FLEETROLLOUTS, f"{NAME}-{number}").get("status") or {}

    def cluster(self, name: str, application: str = NAME) -> dict[str, Any]:
        """The status of the Application's ClusterRollout in that member."""
        return self.get(CLUSTERROLLOUTS, f"{application}.{name}").get("status") or {}

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """(status, reason, message) of a MemberCluster's condition."""
        status = self.get(MEMBERCLUSTERS, name).get("status") or {}
        for item in status.get("conditions") or ():
            if item["type"] == kind:
                return item["status"], item.get("reason", ""), item.get("message", "")
        return "", "", ""

    def await_condition(
        self, name: str, kind: str, status: str, *, within: float = 20
    ) -> tuple[str, str, str]:
        """That condition once it has that status."""
        return until(
            lambda: ((found := self.condition(name, kind))[0] == status and found) or None,
            f"{self.namespace}: {kind} of {name} is {status}, now {self.condition(name, kind)}",
            within=within,
        )

    def await_phase(self, number: int, *phases: str, within: float = 20) -> dict[str, Any]:
        """The status of that run once it has one of these phases."""
        return self._await(functools.partial(self.run, number), f"run {number}", phases, within)

    def await_cluster(
        self, name: str, *phases: str, application: str = NAME, within: float = 20
    ) -> dict[str, Any]:
        """The status of that cluster once it has one of these phases."""
        ask = functools.partial(self.cluster, name, application)
        return self._await(ask, f"{application}.{name}", phases, within)

    def writes(self, cluster: str) -> list[Request]:
        """What the hub wrote into that member's namespace of this tenant."""
        log = self.puppets[cluster].plane.audit
        found = log.read(user=members.HUB_USER, writes=True, namespace=self.namespace)
        return list(found)

    def dispatches(self, cluster: str) -> list[int]:
        """The sequences of the Rollout patches that the member has taken."""
        return [
            request.body["spec"]["dispatch"]["sequence"]
            for request in self.writes(cluster)
            if request.resource == "rollouts.kulta.io"
            and request.code < 300
            and "dispatch" in (request.body or {}).get("spec", {})
        ]

    def _await(
        self, ask: Callable[[], dict[str, Any]], what: str, phases: tuple[str, ...], within: float
    ) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            found = ask()
            return found if found.get("phase") in phases else None

        try:
            return until(there, f"{self.namespace}: {what}", within=within, every=0.01)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it is {ask()}, not {' or '.join(phases)}") from None
