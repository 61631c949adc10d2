"""A newer hub may bring other templates: a run starts where they make something else of it."""

import pytest

from fleet.api.names import APPLICATIONS, FLEETROLLOUTS, FLEETS, ROLLOUTS, Key
from fleet.hub.runtime import dispatching, membership, reconcile
from fleet.hub.runtime.renders import Renders
from fleet.rendering.environment import TemplateSet
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk
from tests.hub.world import TEMPLATES

APP: Key = (TENANT, "checkout")
EAST: Key = (TENANT, "checkout.east")


@pytest.fixture
async def desk() -> Desk:
    """The first run has brought everything to `east`."""
    made = Desk()
    await membership.reconcile(made.hub, made.register("east", engine={"mode": "External"}))
    made.live("east")
    made.put(FLEETS, gen.fleet())
    made.put(APPLICATIONS, gen.application())
    await reconcile.application(made.hub, APP)
    await reconcile.run(made.hub, (TENANT, "checkout-1"))
    await dispatching.dispatch(made.hub, EAST)
    member, link = made.member("east"), made.link("east")
    rollout = member.peek(ROLLOUTS, "checkout", "checkout")
    assert rollout is not None
    assert link.handle is not None
    rollout["status"] = {
        "phase": "Completed",
        "observedGeneration": rollout["metadata"]["generation"],
        "fleetRevision": rollout["spec"]["fleetRevision"],
    }
    link.handle.informers[ROLLOUTS].store.see(member.seed(ROLLOUTS, rollout))
    await dispatching.dispatch(made.hub, EAST)
    await reconcile.run(made.hub, (TENANT, "checkout-1"))
    assert made.hub.stores.runs[TENANT, "checkout-1"].status.phase == "Succeeded"
    return made


@pytest.mark.parametrize(
    ("port", "trigger"),
    [
        pytest.param("name: 'http'  # as ever", "", id="the same in other words"),
        pytest.param("name: web", "ClusterInputsChanged", id="something else"),
    ],
)
async def test_other_templates(desk: Desk, port: str, trigger: str) -> None:
    files = dict(TEMPLATES.files)
    other = files["_macros.j2"].replace("name: http", port)
    desk.hub.renders = Renders(
        TemplateSet.of(files | {"_macros.j2": other}), desk.hub.renders.drafts
    )
    assert desk.hub.renders.templates.digest != TEMPLATES.digest
    await dispatching.dispatch(desk.hub, EAST)
    await reconcile.application(desk.hub, APP)
    found = desk.kube.peek(FLEETROLLOUTS, "checkout-2", TENANT)
    assert (found or {"spec": {"trigger": ""}})["spec"]["trigger"] == trigger
