"""A/B when things do not go as planned: more arms, changes of mind, mishaps, restarts."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api import names
from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core import actions as act
from fleet.kulta.core.plan import plan
from tests import gen
from tests.kulta.ab import BETTER, EQUAL, NEW, OLD, ab_world, begun, decided, known
from tests.kulta.audience import Audience, Behaviour
from tests.kulta.checker import leads
from tests.kulta.world import World

THIRD = gen.revision("shop:v3")
C = f"{gen.STABLE}-c"


def three(behaviour: dict[str, Behaviour] | None = None, **more: Any) -> World:
    """An experiment of v2 and v3 against v1."""
    answer = Audience(behaviour or {**EQUAL, "shop:v3": Behaviour(errors=0.01)})
    analysis = gen.ab_analysis(minDuration="5m")
    return begun(variants=[gen.variant("shop:v3")], analysis=analysis, answer=answer, **more)


# More than two.


def test_each_arm_has_pods_service_and_rules() -> None:
    """Arms times replicas, and no more (the checker looks after each step)."""
    world = three()
    assert sorted(item.number for item in world.observe().replica_sets) == [1, 2, 3]
    assert [world.ready(f"shop:v{number}") for number in (1, 2, 3)] == [4, 4, 4]
    assert [item.name for item in known(world).arms] == ["A", "B", "C"]
    assert leads(world) == [gen.VARIANT, C, gen.STABLE]
    assert world.behind(C) == {THIRD}
    assert world.roles("shop:v3") == {"variant-c"}


def test_third_arm_wins_and_is_stable_though_the_template_says_otherwise() -> None:
    world = three().run(600)
    assert (world.status.phase, known(world).winner) == (Phase.CONCLUDED, "C")
    assert [item.arm for item in known(world).results] == ["B", "C"]
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.status.stable_pod_hash == world.status.current_pod_hash == THIRD
    assert world.status.overruled_pod_hash == NEW
    assert [world.size(f"shop:v{number}") for number in (1, 2, 3)] == [0, 0, 4]
    assert world.roles("shop:v3") == {"variant-a"}
    assert leads(world) == [gen.STABLE]
    for service in (gen.STABLE, gen.VARIANT, C):
        assert world.behind(service) == {THIRD}
    world.log.clear()
    world.writes.clear()
    world.run(86_400)
    assert (world.log, world.writes) == ([], [])


def test_template_of_the_winner_changes_nothing() -> None:
    """Who has won as C becomes the template: it is stable already."""
    world = three().run(600)
    world.annotate("promote")
    world.settle()
    world.update(template=gen.template("shop:v3"), strategy=gen.ab_testing(routed=True))
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, THIRD)
    assert world.status.overruled_pod_hash == ""
    assert world.size("shop:v3") == 4


def test_best_of_several_wins() -> None:
    crowd = {**BETTER, "shop:v3": Behaviour(errors=0.01)}
    assert known(three(crowd).run(600)).winner == "C"
    crowd = {**BETTER, "shop:v3": Behaviour(errors=0.03)}
    assert known(three(crowd).run(600)).winner == "B"


def test_control_wins_when_all_others_have_lost() -> None:
    crowd = {**EQUAL, "shop:v3": Behaviour(errors=0.2)}
    world = three(crowd).run(600)
    assert world.status.phase is Phase.EXPERIMENTING, "C has lost, B is as good as A"
    crowd["shop:v2"] = Behaviour(errors=0.2)
    world.answer = Audience(crowd)
    world.run(600)
    assert known(world).winner == "A"


def test_arm_that_never_gets_ready_lets_nothing_begin() -> None:
    """After the deadline all of it is taken back."""
    world = ab_world(variants=[gen.variant("shop:v3")]).settle()
    world.broken = {THIRD}
    world.image("shop:v2")
    world.run(60)
    assert "variant C" in world.status.message
    assert leads(world) == [gen.STABLE]
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert [world.size(f"shop:v{number}") for number in (1, 2, 3)] == [4, 0, 0]


# Changes of mind.


def test_another_template_begins_another_experiment() -> None:
    """B's rules go before its pods; A serves all the time."""
    world = begun(answer=Audience(EQUAL))
    first = known(world).started_at
    world.image("shop:v3")
    world.run(1)
    assert world.status.ab_experiment is None
    world.settle()
    assert world.status.phase is Phase.EXPERIMENTING
    assert known(world).started_at != first
    assert [world.size(f"shop:v{number}") for number in (1, 2, 3)] == [4, 0, 4]
    assert world.behind(gen.VARIANT) == {THIRD}
    assert world.status.decisions[-2].reason == "Superseded"


def test_template_of_the_stable_revision_ends_it() -> None:
    world = begun()
    world.image("shop:v1")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)
    assert leads(world) == [gen.STABLE]


def strategy(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.manifest["spec"]["strategy"]["abTesting"]
    return found


@pytest.mark.parametrize("is_concluded", [False, True], ids=["under way", "concluded"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"variants": [gen.variant("shop:v3")]}, id="one more arm"),
        pytest.param({"matches": [{"headers": [{"name": "X", "value": "1"}]}]}, id="other people"),
        pytest.param({"analysis": gen.ab_analysis(confidenceLevel=0.8)}, id="another confidence"),
    ],
)
def test_another_design_begins_anew(change: dict[str, Any], is_concluded: bool) -> None:
    """What was measured says nothing about it."""
    world = decided() if is_concluded else begun(answer=Audience(EQUAL))
    world.services[C] = gen.service(C, "variant-c")
    first = known(world).started_at
    world.update(strategy={"abTesting": {**strategy(world), **change}})
    world.run(60)
    assert world.status.phase is Phase.EXPERIMENTING
    assert known(world).started_at != first
    assert "DesignChanged" in [item.reason for item in world.status.decisions]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"maxDuration": "5h"}, id="more time"),
        pytest.param({"analysis": gen.ab_analysis(minDuration="1h")}, id="not so soon"),
    ],
)
def test_time_may_change_in_mid_run(change: dict[str, Any]) -> None:
    world = begun(answer=Audience(EQUAL), analysis=gen.ab_analysis(), maxDuration="1h").run(60)
    first = known(world).started_at
    world.update(strategy={"abTesting": {**strategy(world), **change}})
    world.run(1_800)
    assert (world.status.phase, known(world).started_at) == (Phase.EXPERIMENTING, first)


def test_arm_that_is_taken_out_loses_its_rules_first() -> None:
    world = three()
    body = {key: value for key, value in strategy(world).items() if key != "variants"}
    world.update(strategy={"abTesting": body})
    world.run(60)
    assert world.status.phase is Phase.EXPERIMENTING
    assert leads(world) == [gen.VARIANT, gen.STABLE]
    assert world.size("shop:v3") == 0
    assert names.HASH_LABEL not in world.services[C].selector


def test_scaling_reaches_all_arms() -> None:
    world = three()
    world.update(replicas=6)
    world.run(10)
    assert [world.ready(f"shop:v{number}") for number in (1, 2, 3)] == [6, 6, 6]
    world.update(replicas=2)
    world.run(10)
    assert [world.size(f"shop:v{number}") for number in (1, 2, 3)] == [2, 2, 2]
    assert world.status.phase is Phase.EXPERIMENTING


def test_who_goes_makes_room_before_the_others_grow() -> None:
    """An arm that no gateway has let go keeps its pods (the checker counts after each step)."""
    world = three()
    world.gateway = False
    body = {key: value for key, value in strategy(world).items() if key != "variants"}
    world.update(strategy={"abTesting": body})
    world.run(60).update(replicas=6)
    assert world.run(60).size("shop:v3") == 4
    world.gateway = True
    world.run(60)
    assert [world.ready(f"shop:v{number}") for number in (1, 2, 3)] == [6, 6, 0]


def test_another_strategy_takes_the_revision_over() -> None:
    """From experiment to canary: rules go, weights come."""
    world = begun()
    rule = {"backendRefs": [gen.backend(gen.STABLE, 100), gen.backend(gen.CANARY, 0)]}
    world.routes[gen.ROUTE]["spec"]["rules"].append(rule)
    world.services[gen.CANARY] = gen.service(gen.CANARY, "canary")
    world.strict = False
    world.update(strategy=gen.canary(20, 100, routed=True))
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert leads(world) == [gen.STABLE, gen.STABLE]
    assert names.HASH_LABEL not in world.services[gen.VARIANT].selector


@pytest.mark.parametrize("hold", [{"paused": True}, {"hold": {"reason": "wave halted"}}])
def test_holds_stop_the_beginning_and_the_end(hold: dict[str, Any]) -> None:
    """Nothing starts, the experiment itself goes on, nobody is promoted; then all of it happens."""
    free = {key: False if key == "paused" else None for key in hold}
    world = ab_world(maxDuration="1h").settle()
    world.update(template=gen.template("shop:v2"), **hold)
    world.run(60)
    assert (world.status.phase, world.size("shop:v2")) == (Phase.PAUSED, 0)
    world.update(**free)
    world.run(60)
    world.update(**hold)
    world.run(3_600)
    assert world.status.phase is Phase.CONCLUDED
    world.annotate("promote")
    world.run(60)
    assert (world.status.phase, world.condition("Paused")[0]) == (Phase.CONCLUDED, "True")  # type: ignore[index]
    world.update(**free)
    world.settle()
    assert (world.status.phase, world.annotations) == (Phase.COMPLETED, {})


# Mishaps.


def test_arm_that_loses_its_pods_loses_its_rules() -> None:
    """[RP-05] A gets B's people meanwhile; B gets them back with its pods; nobody did it."""
    world = begun()
    world.broken = {NEW}
    world.run(10)
    assert world.status.phase is Phase.EXPERIMENTING
    assert leads(world) == [gen.STABLE]
    assert "variant B has lost its pods" in world.status.message
    assert [item.is_live for item in known(world).arms] == [True, False]
    world.broken = set()
    world.run(10)
    assert leads(world) == [gen.VARIANT, gen.STABLE]
    assert world.status.restores == 0


def test_arm_whose_service_leads_nowhere_loses_its_rules_too() -> None:
    world = begun()
    seen = world.observe()
    gone = replace(seen, endpoints={**seen.endpoints, gen.VARIANT: frozenset()})
    found = plan(world.rollout, gone, world.now)
    (change,) = found.actions
    assert isinstance(change, act.WriteRoute)
    refs = change.manifest["spec"]["rules"][0]["backendRefs"]
    assert [(x["name"], x["weight"]) for x in refs] == [(gen.STABLE, 100), (gen.VARIANT, 0)]


def test_other_arms_keep_theirs() -> None:
    world = three()
    world.broken = {NEW}
    world.run(10)
    assert leads(world) == [C, gen.STABLE]


def test_somebody_who_takes_our_rules_out_is_told() -> None:
    """[RP-01] Put back three times, then only reported, until a person resumes."""
    world = begun()
    for _ in range(4):
        rules = world.routes[gen.ROUTE]["spec"]["rules"]
        world.routes[gen.ROUTE]["spec"]["rules"] = rules[-1:]
        world.routes[gen.ROUTE]["metadata"]["generation"] += 1
        world.run(10)
    assert leads(world) == [gen.STABLE]
    assert world.condition("Degraded") == ("True", "WeightsContested")
    world.annotate("resume")
    world.run(10)
    assert leads(world) == [gen.VARIANT, gen.STABLE]


def test_users_change_of_the_route_is_kept() -> None:
    """[RP-17] [T14] Another rule, another time-out: ours follow, nothing is lost at the end."""
    world = begun()
    rules = world.routes[gen.ROUTE]["spec"]["rules"]
    rules[1]["timeouts"] = {"request": "5s"}
    rules.append({"matches": [gen.SHOP], "backendRefs": [gen.backend("other", 1)]})
    world.run(10)
    assert leads(world) == [gen.VARIANT, gen.STABLE, "other"]
    assert world.routes[gen.ROUTE]["spec"]["rules"][0]["timeouts"] == {"request": "5s"}
    world.annotate("promote-full")
    world.settle()
    assert leads(world) == [gen.STABLE, "other"]
    assert world.routes[gen.ROUTE]["spec"]["rules"][0]["timeouts"] == {"request": "5s"}


def test_full_route_lets_nothing_begin() -> None:
    """[RP-16] Counted before a pod is made, told, and mended by the user."""
    world = ab_world().settle()
    rule = world.routes[gen.ROUTE]["spec"]["rules"][0]
    world.routes[gen.ROUTE]["spec"]["rules"] = [dict(rule) for _ in range(9)]
    world.image("shop:v2")
    world.run(30)
    assert world.condition("TrafficReady") == ("False", "RouteFull")
    assert "18 rules, and 16 is the most" in world.detail("TrafficReady")
    assert world.size("shop:v2") == 0
    world.routes[gen.ROUTE]["spec"]["rules"] = [rule]
    world.run(30)
    assert world.status.phase is Phase.EXPERIMENTING


@pytest.mark.parametrize("missing", ["route", "service"])
def test_missing_parts_are_named_and_waited_for(missing: str) -> None:
    """[T16] Held, told, and healed by itself."""
    world = ab_world().settle()
    store: dict[str, Any] = world.routes if missing == "route" else world.services
    key = gen.ROUTE if missing == "route" else gen.VARIANT
    kept = store.pop(key)
    world.image("shop:v2")
    world.run(30)
    found = world.condition("TrafficReady")
    assert found == ("False", "RouteNotFound" if missing == "route" else "ServiceNotFound")
    store[key] = kept
    world.run(30)
    assert world.status.phase is Phase.EXPERIMENTING


def test_deletion_gives_everything_back() -> None:
    """In mid-experiment: the user's route and selectors as they were."""
    world = begun()
    before = ab_world()
    world.manifest["metadata"]["deletionTimestamp"] = "2026-11-20T12:30:00Z"
    world.run()
    assert world.gone
    assert world.routes[gen.ROUTE]["spec"] == before.routes[gen.ROUTE]["spec"]
    assert names.MANAGED_RULES not in world.routes[gen.ROUTE]["metadata"]["annotations"]
    for name, service in before.services.items():
        assert world.services[name].selector == service.selector


def test_lost_status_begins_the_experiment_anew() -> None:
    """The roles of the sets say which of them is A; no verdict is made up."""
    world = begun()
    world.status = RolloutStatus()
    world.settle()
    assert world.status.phase is Phase.EXPERIMENTING
    assert (world.status.stable_pod_hash, world.status.current_pod_hash) == (OLD, NEW)


def test_engine_that_dies_all_the_time_gets_through() -> None:
    """Cut off after each action and before each status write: no step is lost or done twice."""
    world = ab_world(maxDuration="1m", variants=[gen.variant("shop:v3")]).settle()
    world.cut = True
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.CONCLUDED
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, NEW)
    assert leads(world) == [gen.STABLE]
    actions = [item.action for item in world.status.decisions]
    assert actions.count("Conclude") == actions.count("Promotion") == 1


def test_restart_of_the_engine_asks_no_look_twice() -> None:
    """What was counted is in the status: a look is neither lost nor counted twice."""
    world = begun(analysis=gen.ab_analysis(), answer=Audience(EQUAL), maxDuration="24h").run(650)
    before = known(world)
    assert before.checked_at is not None
    asked = len(world.asked)
    world.restart()
    world.run(60)
    assert known(world) == before
    assert len(world.asked) == asked


def test_every_set_is_made_of_its_own_template() -> None:
    world = three()
    made = {
        item.manifest["metadata"]["name"]: item.manifest["spec"]["template"]["spec"]
        for item in world.actions(act.CreateReplicaSet)
    }
    images = {key: spec["containers"][0]["image"] for key, spec in made.items()}
    assert images == {
        f"checkout-{OLD}": "shop:v1",
        f"checkout-{NEW}": "shop:v2",
        f"checkout-{THIRD}": "shop:v3",
    }
