"""Blue-green from an Application: two Services, a preview that the hub shows and a person promotes
there, nobody refused."""

from typing import Any

from e2e.ground import member as members
from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.waiting import until
from e2e.realm import Realm, application, deliver, routed, sending
from e2e.tenancy import Tenant
from fleet.api.names import FLEETROLLOUTS, request_annotation
from tests.shell import Done, fleet

SPACE, NAME = "bluegreen", "wallet"
NOTE = request_annotation("promote")
STRATEGY: dict[str, Any] = {"blueGreen": {}}
"""A person promotes."""


def state(tenant: Tenant, run: int) -> dict[str, Any]:
    """The status of a run."""
    found: dict[str, Any] = tenant.get(FLEETROLLOUTS, f"{NAME}-{run}").get("status") or {}
    return found


def previewed(tenant: Tenant) -> dict[str, Any] | None:
    """What the hub shows of the cluster while the preview stands there."""
    status = tenant.cluster("site", NAME)
    return status if status.get("engine", {}).get("phase") == "Preview" else None


def selector(tenant: Tenant, name: str) -> dict[str, str]:
    """That of a Service in the member."""
    path = f"/api/v1/namespaces/{SPACE}/services/{name}"
    _, found = tenant.puppets["site"].plane.call("GET", path)
    chosen: dict[str, str] = found["spec"]["selector"]
    return chosen


def asking(tenant: Tenant) -> list[dict[str, Any]]:
    """What the hub has written into the Rollout to ask its engine."""
    log = tenant.puppets["site"].plane.audit
    found = log.read(user=members.HUB_USER, writes=True, namespace=SPACE)
    # One that came for an older version was refused, and looked again.
    taken = [item for item in found if item.code < 300 and item.resource == "rollouts.kulta.io"]
    bodies = [item.body or {} for item in taken]
    return [body for body in bodies if NOTE in body["metadata"].get("annotations", {})]


def hears(tenant: Tenant, verb: str) -> Done:
    """`fleet <verb>` for the one cluster that there is."""
    config = str(tenant.world.plane.kubeconfig)
    return fleet(verb, NAME, "--cluster", "site", "--kubeconfig", config, "-n", SPACE)


def test_a_run_goes_through_the_preview_and_loses_no_request(realm: Realm) -> None:
    tenant = realm.tenant(SPACE, "site")
    deliver(tenant, routed(application(NAME, "sample:v1", STRATEGY)))
    until(lambda: state(tenant, 1).get("phase") == "Succeeded", "the first run", within=60)
    host = f"{NAME}.example.com"
    load = LoadGenerator(Load(url=realm.site.gateway.url, host=host, rate=50, duration=600))
    with sending(load):
        deliver(tenant, routed(application(NAME, "sample:v2", STRATEGY)))
        shown = until(lambda: previewed(tenant), "the preview is shown", within=60)
        assert (shown["phase"], shown["reason"]) == ("Paused", "AwaitingPromotion")
        assert shown["engine"]["step"] == "preview"
        assert "awaiting promotion" in shown["message"]
        hashes = {
            selector(tenant, name)["rollouts.kulta.io/hash"] for name in (NAME, f"{NAME}-preview")
        }
        assert len(hashes) == 2
        ends = "the request promote/<id>/all"
        until(
            lambda: state(tenant, 2).get("unblock") == ends, "the run says what to write", within=60
        )
        refused = hears(tenant, "conclude")
        assert (refused.returncode, "waits for another request" in refused.stderr) == (1, True)
        done = hears(tenant, "promote")
        assert done.stdout.startswith(f"{NAME}-2: asked to go on: site, by "), done
        until(lambda: state(tenant, 2).get("phase") == "Succeeded", "the second run", within=60)
    (asked,) = asking(tenant)
    taken = tenant.cluster("site", NAME)["dispatch"]
    assert asked["spec"]["dispatch"]["sequence"] == taken["asked"] == taken["sequence"]
    assert asked["metadata"]["resourceVersion"], "it was for the Rollout that was seen to wait"
    assert state(tenant, 2)["display"]["strategy"] == "blueGreen"
    assert [item for item in load.answers if item.status != 200] == []
    assert {item.version for item in load.answers} == {"v1", "v2"}
    assert load.answers[-1].version == "v2"
