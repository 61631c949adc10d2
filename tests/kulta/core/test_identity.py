"""Which revision was stable, when nobody remembers: read from the status, or the sets alone."""

from collections.abc import Callable

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.identity import recovered
from fleet.kulta.core.observed import ReplicaSet
from fleet.kulta.core.plan import plan
from fleet.kulta.core.strategies import STRATEGIES
from tests import gen
from tests.conftest import NOON
from tests.kulta import ab
from tests.kulta.world import World, blue_green_world, canary_world

V1, V2, V3 = "shop:v1", "shop:v2", "shop:v3"


@pytest.mark.parametrize(
    ("sets", "stable"),
    [
        pytest.param([], None, id="nothing there: the first revision"),
        pytest.param([gen.replica_set(V3, 4)], None, id="the wanted one alone: the first revision"),
        pytest.param(
            [gen.replica_set(V1, 3), gen.replica_set(V3, 1, role="canary")],
            V1,
            id="the one whose pods are called stable",
        ),
        pytest.param(
            [gen.replica_set(V1, 0), gen.replica_set(V3, 4)],
            V3,
            id="the wanted one, when the others are empty history",
        ),
        pytest.param(
            [gen.replica_set(V1, 1), gen.replica_set(V3, 4)],
            V1,
            id="never the wanted one while another stable one runs",
        ),
        pytest.param(
            [gen.replica_set(V1, 1), gen.replica_set(V2, 2)],
            V2,
            id="the one with more ready pods",
        ),
        pytest.param(
            [gen.replica_set(V1, 4, role="simple"), gen.replica_set(V3, 1, role="canary")],
            V1,
            id="what runs, when no role fits",
        ),
        pytest.param(
            [gen.replica_set(V1, 0), gen.replica_set(V3, 0, role="canary")],
            None,
            id="nothing runs: nothing to compare with",
        ),
    ],
)
def test_recovered(sets: list[ReplicaSet], stable: str | None) -> None:
    rollout = gen.rollout(V3)
    look = Look(rollout=rollout, observed=gen.observed(*sets), now=NOON)
    traits = STRATEGIES["canary"].traits(rollout.spec)
    assert recovered(look, traits) == (gen.revision(stable) if stable else "")


def test_recovered_is_who_serves_and_not_who_asks_for_more() -> None:
    broken, serving = gen.replica_set(V1, 3), gen.replica_set(V2, 2)
    rollout = gen.rollout(V3)
    world = gen.observed(broken, serving, pods=(*gen.pods(broken, 0), *gen.pods(serving)))
    look = Look(rollout=rollout, observed=world, now=NOON)
    assert recovered(look, STRATEGIES["canary"].traits(rollout.spec)) == gen.revision(V2)


@pytest.mark.parametrize(
    ("failed", "phase"),
    [
        pytest.param(V3, "Failed", id="it was taken back: it stays so"),
        pytest.param(None, "Progressing", id="a retry has cleared the mark: it begins anew"),
    ],
)
def test_failed_revision_is_tried_again_only_without_its_mark(
    failed: str | None, phase: str
) -> None:
    status = {
        "phase": "Failed",
        "currentPodHash": gen.revision(V3),
        "stablePodHash": gen.revision(V1),
        "failedPodHash": gen.revision(failed) if failed else "",
    }
    rollout = gen.rollout(V3, status=status)
    assert plan(rollout, gen.observed(gen.replica_set(V1, 4)), NOON).status.phase == phase


WORLDS: dict[str, Callable[[], World]] = {
    "canary": lambda: canary_world((20, "20s"), 50, 100),
    "canary by a route": lambda: canary_world((20, "20s"), 50, 100, routed=True),
    "blue-green": lambda: blue_green_world(after=30),
    "blue-green by a route": lambda: blue_green_world(after=30, routed=True),
    "A/B": ab.ab_world,
}


@pytest.mark.parametrize("seconds", [0, 1, 10, 23, 60])
@pytest.mark.parametrize("name", WORLDS)
def test_stable_revision_cut_from_the_status_is_named_again(name: str, seconds: int) -> None:
    """With the next look everything is as if it had not been cut: no pod goes, no gate opens."""
    whole, torn = WORLDS[name]().settle(), WORLDS[name]().settle()
    for world in (whole, torn):
        world.image("shop:v2")
        world.run(seconds)
    torn.status = torn.status.model_copy(update={"stable_pod_hash": ""})
    for wait in (2, 3_600):
        told = {world.run(wait).status.emitted for world in (whole, torn)}
        torn.status = torn.status.model_copy(update={"emitted": max(told)})
        whole.status = whole.status.model_copy(update={"emitted": max(told)})
        assert torn.status == whole.status


def test_a_first_revision_that_has_never_been_stable_is_not_taken_for_it() -> None:
    world = canary_world(20, 100, broken={gen.revision(V1)})
    world.run(60)
    world.image(V2)
    assert world.run(60).status.phase is Phase.COMPLETED
    assert world.status.proven_pod_hashes == (gen.revision(V2),)
