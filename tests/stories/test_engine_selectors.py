"""Stories of Services whose own selectors are wrong, and of those who correct them meanwhile.

Who only undoes what the engine wrote is in `test_engine_traffic`.
"""

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.world import canary_world
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
