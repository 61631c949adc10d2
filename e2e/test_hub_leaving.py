"""Members that leave a fleet, with the real hub and three real members whose engines are puppets.

What was made there goes, or stays and is let go of, as the policy says; many at once wait for a
person. Who is deleted with its Application is in `test_removal`.
"""

from functools import partial
from typing import Any

import pytest

from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    EVENTS,
    FLEETS,
    MEMBERCLUSTERS,
    REQUEST_ANNOTATION,
    SERVICES,
    Resource,
)

ALL: dict[str, Any] = {"maxConcurrency": 3}


@pytest.fixture
def tenant(world: World) -> Tenant:
    """All members have the first version, and belong to the fleet by a label."""
    found = world.tenant()
    for name in found.puppets:
        ring(found, name, "main")
    select(found, names=None, clusterSelector={"matchLabels": {"ring": "main"}})
    found.deliver("app:v1", **ALL)
    found.complete("app:v1")
    found.await_phase(1, "Succeeded")
    return found


def patch(tenant: Tenant, resource: Resource, name: str, body: dict[str, Any]) -> None:
    """Change an object that is there."""
    path = resource.path(tenant.namespace, name)
    code, answer = tenant.world.plane.call("PATCH", path, body)
    assert code == 200, answer


def select(tenant: Tenant, **members: Any) -> None:
    """Let the Fleet have these members."""
    patch(tenant, FLEETS, "all", {"spec": {"members": members}})


def ring(tenant: Tenant, member: str, value: str) -> None:
    """Give the member that label."""
    patch(tenant, MEMBERCLUSTERS, member, {"metadata": {"labels": {"ring": value}}})


def there(tenant: Tenant, member: str) -> tuple[bool, int]:
    """Whether its Rollout is in the member, and how many Services."""
    puppet = tenant.puppets[member]
    _, found = puppet.plane.call("GET", SERVICES.path(tenant.namespace))
    return puppet.rollout(tenant.namespace, NAME) is not None, len(found["items"])


def is_gone(tenant: Tenant, member: str) -> bool:
    """Whether the hub has nothing to do with that member any more."""
    return not tenant.get(CLUSTERROLLOUTS, f"{NAME}.{member}")


def condition(tenant: Tenant, kind: str) -> tuple[str, str]:
    """Reason and message of that condition of the Application."""
    status = tenant.get(APPLICATIONS, NAME).get("status") or {}
    found = (item for item in status.get("conditions") or () if item["type"] == kind)
    return next(((item["reason"], item["message"]) for item in found), ("", ""))


def history(tenant: Tenant, number: int) -> list[tuple[str, str]]:
    """Reasons and messages of what that run tells of itself."""
    entries = tenant.run(number).get("history") or ()
    return [(entry["reason"], entry["message"]) for entry in entries]


def told(tenant: Tenant, reason: str) -> set[str]:
    """The objects of which Events tell that."""
    _, found = tenant.world.plane.call("GET", EVENTS.path(tenant.namespace))
    return {item["involvedObject"]["name"] for item in found["items"] if item["reason"] == reason}


def test_who_leaves_in_flight_drops_out_and_is_cleared(tenant: Tenant) -> None:
    """[MT-04, KH-26] The others go on; a fleet without anybody clears nobody."""
    tenant.deliver("app:v2", **ALL)
    for puppet in tenant.puppets.values():
        puppet.await_image(tenant.namespace, NAME, "app:v2")
    ring(tenant, "east", "other")
    until(lambda: is_gone(tenant, "east"), "east is let go", within=20)
    assert there(tenant, "east") == (False, 0)
    tenant.complete("app:v2", "north", "west")
    assert tenant.await_phase(2, "Succeeded")["counts"]["total"] == 2
    select(tenant, clusterSelector={"matchLabels": {"ring": "typo"}})
    until(lambda: condition(tenant, "Ready")[0] == "EmptyFleet", "it is told", within=20)
    for name in ("north", "west"):
        assert not is_gone(tenant, name)
        assert there(tenant, name) == (True, 1)


def test_many_that_leave_wait_for_a_person_and_orphans_stay(tenant: Tenant) -> None:
    tenant.deliver("app:v1", deletionPolicy="Orphan", **ALL)

    def knows(member: str) -> bool:
        spec = tenant.get(CLUSTERROLLOUTS, f"{NAME}.{member}")["spec"]
        return bool((spec.get("deletion") or {}).get("policy") == "Orphan")

    for name in tenant.puppets:
        until(partial(knows, name), f"{name} knows the policy", within=20)
    select(tenant, names=["north"], clusterSelector=None)
    until(lambda: condition(tenant, "Pruned")[0], "many have left", within=20)
    reason, message = condition(tenant, "Pruned")
    assert reason == "PruneNeedsConfirmation"
    assert message.startswith("east, west left fleet all: 2 of 3 clusters are more than")
    assert not is_gone(tenant, "east")
    digest = message.rpartition("/")[2]

    def ask(request: str) -> None:
        notes = {"annotations": {REQUEST_ANNOTATION: request}}
        patch(tenant, APPLICATIONS, NAME, {"metadata": notes})

    ask("confirm-prune/1/00000000")
    refused = "those who wait now are others than 00000000: look at condition Pruned, then write "
    entry = ("RequestRefused", f"{refused}confirm-prune/<id>/{digest}")
    until(lambda: entry in history(tenant, 1), "a yes to others is refused", within=20)
    assert not is_gone(tenant, "east")
    ask(f"confirm-prune/2/{digest}")
    for name in ("east", "west"):
        until(partial(is_gone, tenant, name), f"{name} is let go", within=20)
        rollout = tenant.puppets[name].rollout(tenant.namespace, NAME)
        assert rollout is not None
        assert rollout["spec"]["dispatch"]["released"] is True
        assert there(tenant, name) == (True, 1), "everything stays"
    until(lambda: not condition(tenant, "Pruned")[0], "nothing waits any more", within=20)
    left = {f"{NAME}.east", f"{NAME}.west"}
    until(lambda: told(tenant, "Orphaned") >= left, "both are told", within=10)
    assert told(tenant, "Orphaned") == left


def test_what_was_handed_over_is_put_back(world: World) -> None:
    """A Service that was there before us serves again what it served before."""
    tenant = world.tenant()
    plane = tenant.puppets["east"].plane
    labels = {
        "app.kubernetes.io/managed-by": "kulta-fleet",
        "fleet.kulta.io/application": NAME,
        "fleet.kulta.io/namespace": tenant.namespace,
    }
    spec = {"selector": {"app": "old"}, "ports": [{"port": 8000, "protocol": "TCP"}]}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "labels": labels, "annotations": {"note": "mine"}},
        "spec": spec,
    }
    code, before = plane.call("POST", SERVICES.path(tenant.namespace), service)
    assert code == 201
    tenant.deliver("app:v1", deletionPolicy="Revert", **ALL)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    where = SERVICES.path(tenant.namespace, NAME)
    assert plane.call("GET", where)[1]["spec"]["ports"][0]["port"] == 80
    select(tenant, names=["north", "west"])
    until(lambda: is_gone(tenant, "east"), "east is let go", within=20)
    assert there(tenant, "east") == (False, 1)
    after = plane.call("GET", where)[1]
    assert after["spec"] == before["spec"]
    for kind in ("labels", "annotations", "uid"):
        assert after["metadata"][kind] == before["metadata"][kind]
