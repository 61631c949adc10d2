"""`workloadRef`: a Deployment's template, its pods replaced without a gap, and given back."""

import re
from typing import Any

import pytest
import yaml

from fleet.api.rollout import Phase
from fleet.api.workload import ScaleDown, WorkloadRef
from fleet.kulta.core import actions as act
from fleet.kulta.core.feedback import validation
from tests import gen
from tests.kulta.migrating import NAME, Migrating, deployment, migrating
from tests.readme import README


def watched(world: Migrating) -> list[tuple[int, int]]:
    """Ready pods of both together, and all that both ask for, at each moment from now on."""
    seen: list[tuple[int, int]] = []

    def look(world: Any) -> None:
        wished = sum(item.replicas for item in world.sets.values())
        seen.append((world.serving(), wished + world.size_before))

    world.after_each = look
    return seen


WAYS = [
    pytest.param("OnSuccess", {}, 4, 8, id="at once, when the first revision serves"),
    pytest.param("Progressively", {"maxSurge": 1}, 4, 5, id="pod by pod, with one more"),
    pytest.param(
        "Progressively", {"maxSurge": 0, "maxUnavailable": 1}, 3, 4, id="pod by pod, with one less"
    ),
]


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize(("way", "spec", "least", "most"), WAYS)
def test_the_deployments_pods_are_replaced_without_a_gap(
    way: str, spec: dict[str, Any], least: int, most: int, routed: bool
) -> None:
    world = migrating(scale_down=way, routed=routed, **spec)
    seen = watched(world)
    world.settle()
    assert (world.status.phase, world.ready("shop:v1"), world.size_before) == ("Completed", 4, 0)
    assert world.workload is not None
    assert (world.workload.holder, world.workload.original) == (gen.NAME, 4)
    assert (min(ready for ready, _ in seen), max(count for _, count in seen)) == (least, most)
    assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}
    assert world.condition("WorkloadReady") == ("True", "WorkloadMigrated")
    told = world.status.workload_ref
    assert told is not None
    assert (told.name, told.scaled_down) == ("web", True)
    world.log.clear()
    world.run(100)
    assert world.log == []


@pytest.mark.parametrize(
    ("strategy", "delay"),
    [
        pytest.param(gen.canary(20, 50), 30, id="that a Service left has its pods for the delay"),
        pytest.param({"simple": {}}, 0, id="that no Service left has them no longer"),
    ],
)
def test_a_deployment(strategy: dict[str, Any], delay: int) -> None:
    world = migrating(strategy)
    while world.status.phase != Phase.COMPLETED:
        world.run(1)
    world.run(max(delay - 5, 0))
    assert world.size_before == (4 if delay else 0)
    world.run(10)
    assert world.size_before == 0


def test_a_deployment_that_keeps_its_pods_is_held_and_never_scaled() -> None:
    world = migrating(scale_down="Never").settle()
    assert (world.size_before, world.ready("shop:v1")) == (4, 4)
    assert [(x.replicas, x.holder, x.original) for x in world.actions(act.ChangeWorkload)] == [
        (4, gen.NAME, None)
    ]
    assert world.condition("WorkloadReady") == ("True", "WorkloadKept")


def test_another_template_of_the_deployment_is_another_revision() -> None:
    world = migrating(gen.canary(20, (50, None)), routed=True).settle()
    world.redeploy("shop:v2")
    world.settle()
    assert world.state == (Phase.PAUSED, 1, 50)
    told = world.status.workload_ref
    assert told is not None
    assert world.workload is not None
    assert told.observed_generation == world.workload.generation
    world.redeploy("shop:v1")
    world.settle()
    assert (world.status.phase, world.ready("shop:v1"), world.size("shop:v2")) == (
        Phase.COMPLETED,
        4,
        0,
    )
    assert world.size_before == 0


@pytest.mark.parametrize("way", ["OnSuccess", "Progressively"])
def test_a_first_revision_that_fails_leaves_the_deployment_as_it_was(way: str) -> None:
    world = migrating(scale_down=way, maxSurge=1)
    world.able = {gen.revision("shop:v1"): 2}
    seen = watched(world)
    world.settle()
    assert (world.status.phase, world.size("shop:v1"), world.size_before) == (Phase.FAILED, 0, 4)
    assert min(ready for ready, _ in seen) == 4


def test_a_first_revision_that_fails_on_its_steps_loses_traffic_before_its_pods() -> None:
    analysis = gen.analysis(interval="5s")
    world = migrating(
        gen.canary(20, (50, "1m"), routed=True, analysis=analysis),
        routed=True,
        stepsOnFirstRollout=True,
    )
    world.answer = lambda text: 90.0
    world.settle()
    assert (world.status.phase, world.size("shop:v1"), world.size_before) == (Phase.FAILED, 0, 4)
    assert world.split() == (100, 0)


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(gen.canary(20, (50, None)), id="a canary by pods"),
        pytest.param(gen.canary(20, (50, None), routed=True), id="a canary by weights"),
        pytest.param(gen.blue_green(), id="blue-green"),
        pytest.param({"simple": {}}, id="simple"),
    ],
)
@pytest.mark.parametrize("is_moving", [False, True], ids=["at rest", "in the midst of a rollout"])
def test_a_deleted_rollout_gives_the_pods_back_before_its_own_go(
    strategy: dict[str, Any], is_moving: bool
) -> None:
    """[KH-83] As many as before, behind Services with their own selectors."""
    routed = "trafficRouting" in strategy.get("canary", {})
    world = migrating(strategy, routed=routed).settle()
    if is_moving:
        world.redeploy("shop:v2")
        world.run(30)
    seen = watched(world)
    is_unjudged = is_moving and world.status.phase != Phase.COMPLETED
    world.delete()
    world.settle()
    if is_unjudged:
        assert (world.gone, world.size_before) == (False, 0), "nobody has judged that template"
        assert "kubectl rollout undo deployment/web" in world.detail("WorkloadReady")
        world.redeploy("shop:v1")
        world.settle()
    assert world.gone
    assert world.workload is not None
    held = (world.workload.replicas, world.workload.holder, world.workload.original)
    assert held == (4, "", None)
    assert min(ready for ready, _ in seen) >= 4
    theirs = {f"web-{number}" for number in range(4)}
    for item in world.services.values():
        assert (item.selector, item.original) == (gen.APP, None)
        assert world.slices[item.name] >= theirs, "it has the pods of the Deployment already"


def test_a_rollout_waits_with_its_end_until_the_deployment_is_ready() -> None:
    world = migrating().settle()
    world.ailing = True
    world.delete()
    world.run(600)
    assert not world.gone
    assert world.condition("WorkloadReady") == ("False", "WorkloadPending")
    assert "0 of 4 pods of Deployment web are ready again" in world.status.message
    assert world.ready("shop:v1") == 4
    assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}
    world.ailing = False
    world.run(60)
    assert world.gone


def test_a_selector_that_is_corrected_while_the_end_waits_is_not_overwritten() -> None:
    template = gen.template()
    template["metadata"]["labels"]["tier"] = "web"
    world = migrating()
    world.workload = deployment(template=template)
    world.settle()
    world.ailing = True
    world.delete()
    world.run(60)
    world.strict = False
    world.change(gen.STABLE, {"tier": "web"})
    world.ailing = False
    world.run(60)
    assert (world.gone, world.services[gen.STABLE].selector) == (True, {"tier": "web"})


@pytest.mark.parametrize("way", ["the stable template", "as many pods", "it is deleted"])
def test_a_template_that_was_taken_back_is_given_no_pods_at_the_end(way: str) -> None:
    analysis = gen.analysis(interval="5s")
    world = migrating(gen.canary(20, (50, None), routed=True, analysis=analysis), routed=True)
    world.settle()
    world.answer = lambda text: 90.0
    world.redeploy("shop:v2")
    world.settle()
    world.delete()
    world.run(600)
    assert (world.status.phase, world.gone, world.size_before) == (Phase.FAILED, False, 0)
    assert world.condition("WorkloadReady") == ("False", "WorkloadPending")
    assert (world.ready("shop:v1"), world.split()) == (4, (100, 0))
    match way:
        case "the stable template":
            world.redeploy("shop:v1")
        case "as many pods":
            assert "kubectl scale deployment/web --replicas=4" in world.detail("WorkloadReady")
            world.scale(4)
        case "it is deleted":
            world.workload = None
    world.settle()
    assert world.gone


@pytest.mark.parametrize("least", [3, 0])
def test_an_autoscaler_has_its_will_once_the_pods_were_given_back(least: int) -> None:
    world = migrating().settle()
    world.startup = 40
    world.delete()
    for _ in range(4):
        world.run(10)
        world.scale(least, "kube-controller-manager")
    world.settle()
    assert (world.gone, world.size_before) == (True, least)
    held, taken, grown, let_go = (item.replicas for item in world.actions(act.ChangeWorkload))
    assert (held, taken, grown, let_go) == (4, 0, 4, least)


@pytest.mark.parametrize("way", ["deleted", "let go of", "hidden"])
def test_a_deployment_that_is_lost_keeps_no_rollout_from_its_end(way: str) -> None:
    world = migrating().settle()
    assert world.workload is not None
    if way == "deleted":
        world.workload = None
    elif way == "let go of":
        world.workload = deployment(replicas=0)
    else:
        world.blind = "deployments is forbidden"
    world.delete()
    world.run(60)
    assert world.gone is (way != "hidden")
    if way == "hidden":
        assert "Deployments cannot be seen: deployments is forbidden" in world.status.message


@pytest.mark.parametrize(
    ("scaler", "said"),
    [
        pytest.param("kubectl", "Deployment web (kubectl)", id="by a person"),
        pytest.param(
            "kube-controller-manager",
            "let its scaleTargetRef name this Rollout",
            id="by an autoscaler",
        ),
    ],
)
def test_a_deployment_that_is_scaled_up_again_is_contested(scaler: str, said: str) -> None:
    world = migrating().settle()
    for number in (1, 2, 3):
        world.scale(2, scaler)
        world.run(5)
        told = [item for item in world.actions(act.Emit) if item.reason == "WorkloadContested"]
        assert (world.size_before, len(told)) == (0, number)
        assert said in told[-1].message
    world.scale(2, scaler)
    world.run(5)
    assert world.size_before == 2
    assert world.condition("Degraded") == ("True", "WorkloadContested")
    assert world.condition("WorkloadReady") == ("False", "WorkloadContested")
    assert world.detail("WorkloadReady") == world.detail("Degraded") != ""
    world.scale(0, scaler)
    world.run(5)
    assert world.condition("Degraded") is None
    assert world.condition("WorkloadReady") == ("True", "WorkloadMigrated")


def test_a_deployment_that_is_scaled_up_before_it_is_seen_without_pods_is_contested_too() -> None:
    world = migrating()

    def at_once(world: Any) -> None:
        if not world.size_before:
            world.after_each = lambda world: None
            world.scale(1)

    world.after_each = at_once
    world.settle()
    told = [item for item in world.actions(act.Emit) if item.reason == "WorkloadContested"]
    assert (world.size_before, len(told)) == (0, 1)


def test_an_autoscaler_of_the_deployment_is_told_of() -> None:
    world = migrating(scale_down="OnSuccess")
    world.scale(4, "kube-controller-manager")
    world.tick()
    assert world.condition("WorkloadReady") == ("True", "WorkloadAutoscaled")


def test_a_rollout_with_a_template_of_its_own_lets_go_of_the_deployment_as_it_is() -> None:
    world = migrating().settle()
    selector = {"matchLabels": dict(gen.APP)}
    world.update(template=gen.template(), selector=selector)
    del world.manifest["spec"]["workloadRef"]
    world.settle()
    assert world.workload is not None
    held = (world.workload.replicas, world.workload.holder, world.workload.original)
    assert held == (0, "", 4)
    assert (world.status.workload_ref, world.condition("WorkloadReady")) == (None, None)
    assert (world.status.phase, world.ready("shop:v1")) == (Phase.COMPLETED, 4)
    del world.manifest["spec"]["template"], world.manifest["spec"]["selector"]
    world.update(workloadRef={"name": NAME})
    world.settle()
    world.delete()
    world.settle()
    assert (world.gone, world.size_before) == (True, 4), "its number of pods is not forgotten"


@pytest.mark.parametrize("replicas", [4, 0])
def test_who_strips_the_annotations_off_the_deployment_is_no_stranger(replicas: int) -> None:
    world = migrating().settle()
    for _ in range(4):
        world._put(holder="", original=None, replicas=replicas)
        world.run(20)
    told = [item for item in world.actions(act.Emit) if item.reason == "WorkloadContested"]
    assert (len(told), world.size_before) == ((5, 4) if replicas else (0, 0))
    world.delete()
    world.settle()
    assert (world.gone, world.size_before) == (True, 4)


def test_a_deployment_that_is_made_anew_is_taken_over_without_a_word() -> None:
    world = migrating().settle()
    world.workload = deployment(uid="uid-other")
    world.settle()
    assert world.workload is not None
    held = (world.workload.replicas, world.workload.holder, world.workload.original)
    assert held == (0, gen.NAME, 4)
    assert [x for x in world.actions(act.Emit) if x.reason == "WorkloadContested"] == []


def test_an_engine_that_dies_after_any_write_loses_no_pod() -> None:
    world = migrating(scale_down="Progressively", routed=True, maxSurge=1)
    world.cut = True
    seen = watched(world)
    world.settle()
    world.redeploy("shop:v2")
    world.settle()
    assert (world.status.phase, world.ready("shop:v2"), world.size_before) == ("Completed", 4, 0)
    world.delete()
    world.settle()
    assert (world.gone, world.size_before) == (True, 4)
    assert min(ready for ready, _ in seen) >= 4


def test_the_example_of_the_readme_does_what_the_text_says() -> None:
    text = README.read_text()
    found = re.search(r"```yaml\n(replicas: 4\nworkloadRef:.*?)```", text, re.DOTALL)
    assert found
    spec = yaml.safe_load(found[1])
    written = WorkloadRef.model_validate(spec["workloadRef"])
    assert written == WorkloadRef(name=written.name), "these are the defaults"
    assert [f"`{way}`" in text or f": {way}" in text for way in ScaleDown] == [True] * 3
    world = migrating()
    world.manifest["spec"] |= {**spec, "workloadRef": {**spec["workloadRef"], "name": NAME}}
    assert validation.of_manifest(world.manifest) == ()
    world.settle()
    assert (world.size_before, world.ready("shop:v1")) == (0, 4)
