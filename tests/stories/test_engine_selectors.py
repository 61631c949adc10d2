"""Stories of hands in what the engine keeps: Services are corrected, sets are scaled and deleted.

Who only undoes what the engine wrote is in `test_engine_traffic`.
"""

from dataclasses import replace

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core.observed import Service
from tests import gen
from tests.kulta.world import World, canary_world, furnish
from tests.stories.test_engine_canary import running


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param({}, id="as the whole of it"),
        pytest.param(None, id="beside what we had written"),
    ],
)
def test_selector_that_somebody_corrects_is_theirs_from_now_on(
    kept: dict[str, str] | None,
) -> None:
    """It is told which label is wrong; the mended one is used, and given back."""
    world = canary_world(50, 100, routed=True)
    world.strict = False
    wrong = gen.service(gen.STABLE, selector={"app": "nobody", names.TYPE_LABEL: "stable"})
    world.services[gen.STABLE] = wrong
    world.run(60)
    assert world.status.phase is Phase.PROGRESSING
    assert world.condition("TrafficReady") == ("False", "EndpointsPending")
    assert (
        f"Service {gen.STABLE} asks for app=nobody, which the pods of revision "
        f"{gen.revision('shop:v1')} do not have; correct its selector" in world.status.message
    )
    live = world.services[gen.STABLE].selector if kept is None else kept
    world.change(gen.STABLE, {**live, **gen.APP, names.TYPE_LABEL: "stable"})
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.status.restores == 0
    assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    mended = {**gen.APP, names.TYPE_LABEL: "stable"}
    assert (world.gone, world.services[gen.STABLE].selector) == (True, mended)


def test_selector_that_is_corrected_while_nobody_looks_is_not_overwritten() -> None:
    """The Rollout is deleted at the same time."""
    world = running(20, 100, routed=True)
    mended = {"app": "store", "tier": "web", names.TYPE_LABEL: "stable"}
    world.change(gen.STABLE, mended)
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert (world.gone, world.services[gen.STABLE].selector) == (True, mended)


@pytest.mark.parametrize("routed", [False, True], ids=["by pods", "by a route"])
def test_sets_that_somebody_scales_or_deletes_are_put_right(routed: bool) -> None:
    """At once, at rest and in the midst of a step, which stays where it is."""
    world = running((50, None), 100, routed=routed)
    old, new = gen.revision("shop:v1"), gen.revision("shop:v2")
    world.strict = False
    for size in (1, 9):
        world.sets[old] = replace(world.sets[old], replicas=size)
        assert world.run(10).sets[old].replicas == 4
    world.image("shop:v2")
    world.run(10)
    before = world.state, world.size("shop:v2"), world.size("shop:v1")
    world.sets[new] = replace(world.sets[new], replicas=0)
    world.run(10)
    assert (world.state, world.size("shop:v2"), world.size("shop:v1")) == before
    del world.sets[new]
    world.run(10)
    assert (world.state, world.size("shop:v2"), world.size("shop:v1")) == before
    assert before[0] == (Phase.PAUSED, 0, 50)


class Meshed(World):
    """Somebody writes a label on all pods, so that Services may ask for it."""

    def addresses(self, item: Service) -> frozenset[str]:
        known = {key: value for key, value in item.selector.items() if key != "mesh"}
        return super().addresses(replace(item, selector=known))


def test_nobody_is_told_to_correct_a_selector_for_labels_that_others_write_on_pods() -> None:
    """However late the slices are."""
    world = Meshed(gen.manifest(strategy=gen.canary(50, 100, routed=True)))
    furnish(world, (gen.STABLE, "stable"), (gen.CANARY, "canary"), routed=True)
    for name, item in world.services.items():
        world.services[name] = replace(item, selector={**item.selector, "mesh": "on"})
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    world.writes.clear()
    world.image("shop:v2")
    world.sliced = False
    world.run(60)
    world.sliced = True
    world.settle()
    assert world.behind(gen.STABLE) == {gen.revision("shop:v2")}
    told = [item.message for status in world.writes for item in status.conditions]
    assert not [message for message in told if "correct its selector" in message]


def test_selector_that_is_taken_out_whole_is_put_back_and_given_back() -> None:
    """Else the Service would choose pods of every Rollout, by the role that it asked for."""
    world = running(20, 100, routed=True)
    own = world.services[gen.STABLE].original
    world.strict = False
    world.change(gen.STABLE, {})
    world.run(5)
    assert world.services[gen.STABLE].original == own == {**gen.APP, names.TYPE_LABEL: "stable"}
    assert (world.behind(gen.STABLE), world.status.restores) == ({gen.revision("shop:v1")}, 1)
    world.change(gen.STABLE, {})
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert (world.gone, world.services[gen.STABLE].selector) == (True, own)


def test_selector_that_is_written_anew_keeps_no_role_of_the_old_one() -> None:
    world = running(20, 100, routed=True)
    world.strict = False
    world.change(gen.STABLE, {"app": "store"})
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T13:00:00Z"
    world.run(1)
    assert (world.gone, world.services[gen.STABLE].selector) == (True, {"app": "store"})
