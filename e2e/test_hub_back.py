"""Ways back on real members: a cluster, a wave, a former run for all, and the failed ones again.

What was sent is judged by the members' audit logs. The way back of a whole fleet, with a hub that
is killed on the way, is in `test_hub_gates`; what is handed back where nothing stays, in
`test_hub_leaving`.
"""

import pytest

from e2e.ground.member import image_of
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import FLEETROLLOUTS, REQUEST_ANNOTATION

WAVES = [
    {"name": "canary", "clusters": ["west"]},
    {"name": "rest", "remaining": True, "maxConcurrency": 2},
]
REST = ("east", "north")


@pytest.fixture
def tenant(world: World) -> Tenant:
    """Two versions have been everywhere."""
    found = world.tenant()
    for number in (1, 2):
        deliver(found, number)
        found.complete(f"app:v{number}", "west", *REST)
        found.await_phase(number, "Succeeded")
    return found


def deliver(tenant: Tenant, number: int) -> None:
    tenant.deliver(f"app:v{number}", waves=WAVES)


def ask(tenant: Tenant, number: int, text: str) -> None:
    """Write that request on that run."""
    path = FLEETROLLOUTS.path(tenant.namespace, f"{NAME}-{number}")
    body = {"metadata": {"annotations": {REQUEST_ANNOTATION: text}}}
    code, answer = tenant.world.plane.call("PATCH", path, body)
    assert code == 200, answer


def gone_back(tenant: Tenant) -> int:
    """How many clusters the second run has taken back."""
    return int(tenant.run(2)["counts"]["rolledBack"])


def images(tenant: Tenant) -> dict[str, str]:
    """What each member's Rollout asks for."""
    found = {name: one.rollout(tenant.namespace, NAME) for name, one in tenant.puppets.items()}
    return {name: image_of(one) for name, one in found.items() if one is not None}


def sent(tenant: Tenant) -> dict[str, int]:
    """How many dispatches each member has taken; each has its own sequence."""
    taken = {name: tenant.dispatches(name) for name in tenant.puppets}
    assert all(each == sorted(set(each)) for each in taken.values()), taken
    return {name: len(each) for name, each in taken.items()}


def test_a_cluster_a_wave_and_a_whole_fleet_go_back(tenant: Tenant) -> None:
    ask(tenant, 2, "rollback/1/west")
    tenant.complete("app:v1", "west")
    until(lambda: gone_back(tenant) == 1, "west is back", within=20)
    assert images(tenant) == {"west": "app:v1", "east": "app:v2", "north": "app:v2"}
    assert sent(tenant) == {"west": 3, "east": 2, "north": 2}, "nobody else is written to"
    ask(tenant, 2, "rollback/2/rest")
    tenant.complete("app:v1", *reversed(REST))
    until(lambda: gone_back(tenant) == 3, "all are back", within=20)
    assert set(images(tenant).values()) == {"app:v1"}
    deliver(tenant, 3)
    tenant.complete("app:v3", "west", *REST)
    tenant.await_phase(3, "Succeeded")
    ask(tenant, 3, f"undo/3/{NAME}-2")
    tenant.puppets["west"].await_image(tenant.namespace, NAME, "app:v2")
    assert {images(tenant)[name] for name in REST} == {"app:v3"}, "wave by wave"
    tenant.complete("app:v2", "west", *REST)
    assert tenant.await_phase(4, "Succeeded")["counts"]["updated"] == 3
    assert sent(tenant) == dict.fromkeys(tenant.puppets, 5)


def test_only_who_failed_is_tried_again(tenant: Tenant) -> None:
    deliver(tenant, 3)
    tenant.complete("app:v3", "west")
    for name in REST:
        tenant.puppets[name].await_image(tenant.namespace, NAME, "app:v3")
    tenant.puppets["east"].fail(tenant.namespace, NAME)
    tenant.await_phase(3, "Halted")
    ask(tenant, 3, "retry/1")
    until(lambda: sent(tenant)["east"] == 4, "it is sent again", within=20)
    tenant.complete("app:v3", *REST)
    until(lambda: _is_over(tenant), "the run ends", within=20)
    assert sent(tenant) == {"west": 3, "east": 4, "north": 3}


def _is_over(tenant: Tenant) -> bool:
    """As an engine does, the members report again after each hold that came or went."""
    tenant.complete("app:v3", *REST)
    return tenant.run(3).get("phase") == "Succeeded"
