"""CDEvents of real transitions: rollouts of the small world, and what is told of each decision.

Aspects: which decision is which event, what it says, and that it says the same when told again.
Delivery is tested in `tests/kulta/runtime/test_sinks.py` and `test_outbox.py`.
"""

from typing import Any

from fleet.api import names
from fleet.kulta.core.messages import cdevents
from tests import gen
from tests.kulta.ab import CONVERSION, ERRORS, ab_world, begun, counting
from tests.kulta.world import World, blue_green_world, canary_world
from tests.stories.test_engine_analysis import judged, values
from tests.stories.test_engine_canary import running

ENVIRONMENT = {
    "id": "shop/checkout",
    "source": "/apis/kulta.io/v1alpha1/namespaces/shop/rollouts/checkout",
}


def told(world: World) -> list[dict[str, Any]]:
    """The events so far."""
    return [event for event in map(cdevents.of, world.heard) if event]


def verbs(world: World) -> list[str]:
    """`deployed`, `upgraded` …"""
    return [event["type"].split(".")[3] for event in told(world)]


def custom(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = event["data"]["customData"]["kulta"]
    return found


def reasons(world: World) -> list[tuple[str, str]]:
    return [
        (event["type"].split(".")[3], custom(event)["decision"]["reason"]) for event in told(world)
    ]


def fresh(world: World) -> World:
    """The same world, with nothing told yet."""
    world.heard.clear()
    return world


def first(image: str = "nginx:1.0", strategy: Any = None, **meta: Any) -> World:
    """A Rollout that nobody has looked at yet."""
    world = World(gen.manifest(image, strategy, stepsOnFirstRollout=True))
    world.manifest["metadata"].update({"name": "test-app", "namespace": "default", **meta})
    return world


def test_a_new_rollout_is_deployed() -> None:
    """[E1, E15] With its image, in an environment whose source is ours."""
    world = first()
    world.tick()
    (event,) = told(world)
    assert event["type"] == "dev.cdevents.service.deployed.0.2.0"
    content = event["data"]["subject"]["content"]
    assert content["artifactId"] == "nginx:1.0"
    assert content["environment"]["id"] == "default/test-app"
    assert content["environment"]["source"].startswith("/apis/kulta.io/")
    assert event["subject"] == "/rollouts/test-app/initialization"


def test_another_step_is_an_upgrade() -> None:
    """[E2] From step 0 to step 1, which is 50 %."""
    world = fresh(running(20, (50, None), 100))
    world.image("shop:v2")
    world.run(30)
    assert verbs(world) == ["deployed", "upgraded"]
    event = told(world)[-1]
    assert custom(event)["step"] == {"index": 1, "total": 3, "traffic_weight": 50}
    assert custom(event)["decision"] == {"reason": "step_advanced"}
    assert event["subject"] == "/rollouts/checkout/step/1"
    assert event["data"]["subject"]["content"]["artifactId"] == "shop:v2"


def test_a_failed_analysis_is_a_rollback() -> None:
    """[E3]"""
    world = judged(values(8.0), step=20).run(300)
    assert reasons(world)[-1] == ("rolledback", "analysis_failed")
    assert told(world)[-1]["subject"] == "/rollouts/checkout/rollback"
    assert custom(told(world)[-1])["step"]["index"] == 0


def test_a_hook_that_takes_back_is_the_reason() -> None:
    world = running(20, (50, None), 100)
    url = "http://gate.shop:8080/check"
    world.update(hooks=[{"name": "gate", "type": "rollback", "url": url}])
    world.image("shop:v2")
    world.run(60)
    assert reasons(world)[-1] == ("rolledback", "hook_rollback")


def test_completion_is_published() -> None:
    """[E4] Without an artifact, and once."""
    world = fresh(running(20, 100))
    world.image("shop:v2")
    world.settle()
    assert verbs(world) == ["deployed", "upgraded", "published"]
    event = told(world)[-1]
    assert event["data"]["subject"]["content"] == {"environment": ENVIRONMENT}
    assert custom(event)["decision"] == {"reason": "completed"}
    assert event["subject"] == "/rollouts/checkout/completed"


def test_custom_data_says_which_rollout_stands_where() -> None:
    """[E5]"""
    world = first(uid="abc-123-def", generation=5)
    world.tick()
    (event,) = told(world)
    assert event["data"]["customData"] == {
        "kulta": {
            "version": "v1",
            "rollout": {
                "name": "test-app",
                "namespace": "default",
                "uid": "abc-123-def",
                "generation": 5,
            },
            "strategy": "canary",
            "step": {"index": 0, "total": 3, "traffic_weight": 20},
            "decision": {"reason": "initialization"},
        }
    }


def test_a_simple_rollout_is_deployed_and_published() -> None:
    """[E6] In this order."""
    world = World(gen.manifest(strategy={"simple": {}})).settle()
    assert verbs(world) == ["deployed", "published"]
    assert {custom(event)["strategy"] for event in told(world)} == {"simple"}


def test_a_preview_is_deployed_and_its_promotion_published() -> None:
    """[E7, E8] As `blue-green`."""
    world = blue_green_world(stepsOnFirstRollout=True)
    world.run(30)
    assert (world.status.phase, verbs(world)) == ("Preview", ["deployed"])
    world.annotate("promote")
    world.settle()
    assert verbs(world) == ["deployed", "published"]
    assert {custom(event)["strategy"] for event in told(world)} == {"blue-green"}


def test_an_experiment_is_deployed() -> None:
    """[E10]"""
    world = ab_world(stepsOnFirstRollout=True)
    world.run(30)
    assert world.status.phase == "Experimenting"
    assert reasons(world) == [("deployed", "initialization")]
    assert {custom(event)["strategy"] for event in told(world)} == {"ab-testing"}


def test_a_conclusion_is_published_with_its_numbers() -> None:
    """[E9] Before anything is promoted; B has won, by consensus."""
    world = begun(
        analysis=gen.ab_analysis(ERRORS, CONVERSION), answer=counting((5_000, 250), (5_000, 100))
    )
    fresh(world).run(400)
    assert (world.status.phase, reasons(world)) == (
        "Concluded",
        [("published", "experiment_concluded")],
    )
    (event,) = told(world)
    assert event["subject"] == "/rollouts/checkout/experiment-concluded"
    found = custom(event)
    assert found.keys() == {"version", "rollout", "strategy", "experiment", "decision"}
    experiment = found["experiment"]
    assert (experiment["winner"], experiment["conclusion_reason"]) == ("B", "ConsensusReached")
    assert (experiment["sample_size_a"], experiment["sample_size_b"]) == (5_000, 5_000)
    assert experiment["started_at"] < experiment["concluded_at"] == event["time"]
    assert [item["name"] for item in experiment["metrics"]] == ["error-rate", "conversion-rate"]
    assert experiment["metrics"][0].keys() == {
        "name",
        "value_a",
        "value_b",
        "confidence",
        "is_significant",
        "winner",
    }
    world.annotate("promote")
    world.settle()
    assert reasons(world)[1:] == [("published", "completed")]


def test_an_experiment_that_nobody_has_won() -> None:
    world = begun()
    fresh(world).annotate("conclude-experiment")
    world.run(30)
    experiment = custom(told(world)[-1])["experiment"]
    assert (experiment["winner"], experiment["conclusion_reason"]) == ("none", "ManualConclusion")
    assert (experiment["sample_size_a"], experiment["metrics"]) == (0, [])


def test_a_pause_is_no_event() -> None:
    """[E11]"""
    world = fresh(running((20, None), 100))
    world.image("shop:v2")
    world.run(30)
    assert [item.decision.action for item in world.heard] == ["Initialize", "Pause"]
    assert verbs(world) == ["deployed"]


def test_a_deadline_is_a_rollback_for_its_own_reason() -> None:
    """[E16]"""
    world = fresh(running(20, 100))
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    world.settle()
    assert reasons(world) == [("deployed", "initialization"), ("rolledback", "timeout")]


def test_a_rollback_by_hand_says_so() -> None:
    world = fresh(running((20, None), 100))
    world.image("shop:v2")
    world.run(30)
    world.annotate("rollback")
    world.run(30)
    assert reasons(world)[-1] == ("rolledback", "manual_rollback")


def test_a_template_that_is_the_stable_one_again_takes_the_other_back() -> None:
    world = fresh(running((20, None), 100))
    world.image("shop:v2")
    world.run(30)
    world.image("shop:v1")
    world.settle()
    assert verbs(world) == ["deployed", "rolledback", "published"]


def test_a_promotion_to_the_next_step_is_an_upgrade() -> None:
    world = fresh(running((20, None), (50, None), 100))
    world.image("shop:v2")
    world.run(30)
    world.annotate("promote")
    world.run(30)
    assert reasons(world)[-1] == ("upgraded", "step_advanced")


def test_a_promotion_to_the_end_is_only_published() -> None:
    world = fresh(running((20, None), (50, None), 100))
    world.image("shop:v2")
    world.run(30)
    world.annotate("promote-full")
    world.settle()
    assert verbs(world) == ["deployed", "published"]


def test_without_an_image_nothing_but_the_end_is_told() -> None:
    """[E18]"""
    world = canary_world(20, 100)
    del world.manifest["spec"]["template"]["spec"]["containers"][0]["image"]
    world.settle()
    assert verbs(world) == ["published"]


def test_the_wire_form() -> None:
    """[E13] A structured CloudEvent as the SDKs of CDEvents write it."""
    world = fresh(running((20, None), 100))
    world.image("shop:v2")
    world.tick()
    (event,) = told(world)
    moment = "2026-11-20T12:00:"
    assert event.pop("time").startswith(moment)
    assert event["data"]["context"].pop("timestamp").startswith(moment)
    identity = event["id"]
    assert event.pop("data").pop("customData")
    assert event == {
        "specversion": "1.0",
        "id": identity,
        "type": "dev.cdevents.service.deployed.0.2.0",
        "source": "https://kulta.io",
        "subject": "/rollouts/checkout/initialization",
        "datacontenttype": "application/json",
    }
    (again,) = told(world)
    assert again["data"]["context"] == {
        "version": "0.4.1",
        "id": identity,
        "source": "https://kulta.io",
        "type": "dev.cdevents.service.deployed.0.2.0",
        "timestamp": again["time"],
    }
    assert again["data"]["subject"] == {
        "id": "/rollouts/checkout/initialization",
        "source": "https://kulta.io/controller",
        "type": "service",
        "content": {"environment": ENVIRONMENT, "artifactId": "shop:v2"},
    }


def test_every_event_has_an_identity_of_its_own() -> None:
    world = running(20, 50, 100)
    for image in ("shop:v2", "shop:v3"):
        world.image(image)
        world.settle()
    identities = [event["id"] for event in told(world)]
    assert len(set(identities)) == len(identities) == 10


def test_the_same_decision_told_again_is_the_same_event() -> None:
    """[E17] By an engine that starts, from the stored status, though the template has changed."""
    world = fresh(running(20, (50, None), 100))
    world.listening = False
    world.image("shop:v2")
    world.run(30)
    before = told(world)
    fresh(world).restart()
    world.manifest["spec"]["template"]["metadata"]["labels"][names.MANAGED_LABEL] = "x"
    world.tick()
    again = told(world)[: len(before)]
    assert [(event["id"], event["time"]) for event in again] == [
        (event["id"], event["time"]) for event in before
    ]
    assert {event["data"]["subject"]["content"]["artifactId"] for event in again} == {"shop:v2"}


def test_a_diary_that_began_anew_has_other_identities() -> None:
    """A lost status: the numbers are the same, the decisions are not."""
    world = running((20, None), 100)
    world.image("shop:v2")
    world.run(10)
    world.status = type(world.status)()
    world.run(30)
    sequences = [item.decision.sequence for item in world.heard]
    assert len(set(sequences)) < len(sequences)
    assert len({item.uuid for item in world.heard}) == len(sequences)


def test_a_rollout_without_a_name_is_not_told_of() -> None:
    world = first(name="")
    world.strict = False
    world.tick()
    assert told(world) == []
