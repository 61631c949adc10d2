"""A/B after its conclusion: who is promoted, who is taken away, what may be tried again."""

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.ab import BETTER, NEW, OLD, ab_world, begun, decided, known
from tests.kulta.checker import leads


def test_conclusion_waits_for_a_person() -> None:
    """[A4] Nothing happens by itself, and the message says what to do."""
    world = decided()
    assert "awaiting promotion" in world.status.message
    assert "variant B has won" in world.status.message
    assert world.condition("Progressing") == ("True", "AwaitingPromotion")
    world.run(86_400)
    assert world.status.phase is Phase.CONCLUDED
    assert leads(world) == [gen.VARIANT, gen.STABLE]


def test_winner_is_promoted() -> None:
    """[A5] [A6] [A21] B is stable, the route is the user's again with all traffic on it."""
    world = decided()
    before = ab_world().routes[gen.ROUTE]["spec"]
    world.annotate("promote")
    world.run(10)
    assert world.status.phase is Phase.COMPLETED
    assert world.status.stable_pod_hash == world.status.current_pod_hash == NEW
    assert world.routes[gen.ROUTE]["spec"] == before
    assert world.behind(gen.STABLE) == world.behind(gen.VARIANT) == {NEW}
    assert world.roles("shop:v2") == {"variant-a"}
    assert (world.size("shop:v1"), world.annotations) == (4, {})
    world.settle()
    assert (world.size("shop:v1"), world.status.phase) == (0, Phase.COMPLETED)
    assert known(world).winner == "B"


def test_control_that_has_won_stays() -> None:
    """[A22] B is taken away, the route restored; it is not tried again by itself."""
    worse = {"shop:v1": BETTER["shop:v2"], "shop:v2": BETTER["shop:v1"]}
    world = decided(worse)
    assert known(world).winner == "A"
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.status.stable_pod_hash == world.status.current_pod_hash == OLD
    assert world.status.overruled_pod_hash == NEW
    assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)
    assert leads(world) == [gen.STABLE]
    assert world.behind(gen.STABLE) == world.behind(gen.VARIANT) == {OLD}
    world.log.clear()
    world.writes.clear()
    world.run(86_400)
    assert (world.log, world.writes) == ([], [])


def test_control_that_has_won_still_has_after_a_night_without_pods() -> None:
    """[A4] Nobody asked for B, and without pods nothing is decided anew."""
    worse = {"shop:v1": BETTER["shop:v2"], "shop:v2": BETTER["shop:v1"]}
    world = decided(worse)
    world.update(replicas=0)
    world.run(60)
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.CONCLUDED, OLD)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (0, 0)
    world.update(replicas=4)
    world.run(60)
    assert leads(world) == [gen.VARIANT, gen.STABLE]
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, OLD)


@pytest.mark.parametrize(
    ("act_", "phase"),
    [
        pytest.param("retry", Phase.EXPERIMENTING, id="a person asks for it"),
        pytest.param("again", Phase.EXPERIMENTING, id="the template went away and came back"),
        pytest.param("other", Phase.EXPERIMENTING, id="another template"),
        pytest.param("back", Phase.COMPLETED, id="the template of the winner"),
    ],
)
def test_what_was_overruled_may_be_tried_again(act_: str, phase: Phase) -> None:
    worse = {"shop:v1": BETTER["shop:v2"], "shop:v2": BETTER["shop:v1"]}
    world = decided(worse)
    world.annotate("promote")
    world.settle()
    if act_ == "retry":
        world.annotate("retry")
    else:
        world.image("shop:v3" if act_ == "other" else "shop:v1")
        world.run(10)
        assert world.status.overruled_pod_hash == ""
    if act_ == "again":
        world.image("shop:v2")
    world.run(10)
    assert world.status.phase is phase


def test_person_promotes_b_where_nobody_has_won() -> None:
    """`promote` without a winner means B."""
    world = begun(maxDuration="1h").run(3_600)
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, NEW)


@pytest.mark.parametrize("verb", ["abort", "rollback"])
@pytest.mark.parametrize("is_concluded", [False, True], ids=["under way", "concluded"])
def test_person_takes_b_back(verb: str, is_concluded: bool) -> None:
    """Traffic first, pods after, Failed until something changes."""
    world = decided() if is_concluded else begun()
    world.annotate(verb)
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert (world.size("shop:v1"), world.size("shop:v2")) == (4, 0)
    assert leads(world) == [gen.STABLE]
    assert world.status.stable_pod_hash == OLD
    world.annotate("retry")
    world.run(10)
    assert world.status.phase is Phase.EXPERIMENTING


def test_promotion_before_a_conclusion_is_refused() -> None:
    """Neither B by accident, nor a request that lies in wait."""
    world = begun()
    world.annotate("promote")
    world.run(60)
    assert (world.status.phase, world.annotations) == (Phase.EXPERIMENTING, {})
    assert "kulta.io/conclude-experiment" in world.actions(act.Emit)[-1].message


def test_both_requests_at_once_conclude_and_promote() -> None:
    world = begun()
    world.annotate("conclude-experiment")
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, NEW)


def test_conclusion_that_has_nothing_to_conclude_is_taken_away() -> None:
    world = ab_world().settle()
    world.annotate("conclude-experiment")
    world.run()
    assert world.annotations == {}
    assert world.actions(act.Emit)[-1].reason == "NothingToDo"


def test_promote_full_needs_no_experiment() -> None:
    world = begun()
    world.annotate("promote-full")
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, NEW)
    assert leads(world) == [gen.STABLE]


def test_whoever_promotes_has_paused_no_more() -> None:
    world = decided()
    world.annotate("pause")
    world.run(60)
    assert world.condition("Paused") == ("True", "PauseRequested")
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.status.pause_requested) == (Phase.COMPLETED, False)


def test_deletion_waits_for_the_gateway_but_not_for_ever() -> None:
    """Nobody is refused where it answers; where it is gone too, ten seconds are enough."""
    world = begun()
    before = ab_world().routes[gen.ROUTE]["spec"]
    world.gateway = False
    world.manifest["metadata"]["deletionTimestamp"] = f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    world.run(9)
    assert (world.gone, leads(world)) == (False, [gen.STABLE, gen.STABLE])
    world.run(2)
    assert world.gone
    assert world.routes[gen.ROUTE]["spec"] == before


def test_deletion_finds_rules_whose_note_somebody_broke() -> None:
    """Beside a route that is nobody's: what equals a rule of ours is one."""
    world = begun()
    before = ab_world().routes[gen.ROUTE]["spec"]
    world.routes = {"another": gen.route(name="another"), **world.routes}
    world.routes[gen.ROUTE]["metadata"]["annotations"][names.MANAGED_RULES] = "[1, 2"
    world.manifest["metadata"]["deletionTimestamp"] = f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    world.run(20)
    assert world.gone
    assert world.routes[gen.ROUTE]["spec"] == before
