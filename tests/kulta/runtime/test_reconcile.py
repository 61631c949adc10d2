"""One reconcile around a scripted decision: what is written when, and what each error leads to."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from fleet.aio import WorkQueue
from fleet.api import conditions, names
from fleet.api.names import Key
from fleet.api.rollout import Phase, Rollout, RolloutStatus
from fleet.clusters.client import Client
from fleet.errors import (
    AlreadyExists,
    Conflict,
    FleetError,
    Forbidden,
    Invalid,
    NotFound,
    Throttled,
    UnexpectedState,
    Unreachable,
    UserError,
)
from fleet.kulta.core.actions import Plan, Query, ScaleReplicaSet
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.observed import Observed
from fleet.kulta.runtime.advisors import Consultations, Silent
from fleet.kulta.runtime.apply import World
from fleet.kulta.runtime.hooks import Caller, Errands
from fleet.kulta.runtime.measure import Measurements
from fleet.kulta.runtime.observe import Observer
from fleet.kulta.runtime.outbox import Outbox
from fleet.kulta.runtime.reconcile import CONFLICT_SECONDS, Reconciler
from fleet.kulta.runtime.rollouts import Rollouts
from fleet.kulta.runtime.turns import Turns
from fleet.telemetry.metrics import EngineMetrics
from fleet.wiring import engine
from tests.fakes import NOON, FakeClock, FakeKube, Samples, Sent
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import HASH, KEY, NAMESPACE

SET = f"checkout-{HASH}"
GOING = RolloutStatus(phase=Phase.PROGRESSING, current_weight=20)
BEGUN = GOING.model_copy(update={"step_start_time": NOON})
SCALE = ScaleReplicaSet(name=SET, replicas=5, was=2)
PROGRESSED = Emit(kind="Normal", reason="Progressing", message="on")


class Timed(WorkQueue[Key]):
    """A work queue that notes when keys shall come back."""

    def __init__(self) -> None:
        super().__init__(base=engine.BACKOFF_SECONDS, cap=engine.MOST_BACKOFF_SECONDS)
        self.after: list[float] = []

    def add_after(self, key: Key, seconds: float) -> None:
        self.after.append(seconds)


class Leading:
    """Leads or not."""

    def __init__(self) -> None:
        self.is_leader = True


class Bench:
    """A reconciler with fakes around it. `plan` is what it decides next."""

    def __init__(self, **manifest: Any) -> None:
        self.kube, self.clock, self.sent = FakeKube(), FakeClock(), Sent()
        self.queue, self.leading = Timed(), Leading()
        self.metrics, self.source = EngineMetrics(), Samples({"up": 1.0})
        self.outbox = Outbox({}, self.metrics)
        self.plan = Plan(status=RolloutStatus())
        self.seen: list[tuple[Rollout, Observed]] = []
        observer = Observer(cast(Client, self.kube), lambda _: None)
        self.world = World(
            kube=self.kube, observer=observer, rollouts=Rollouts(), recorder=self.sent
        )
        self.reconciler = Reconciler(
            world=self.world,
            queue=self.queue,
            measurements=Measurements(self.source, self.clock, lambda _: None),
            turns=Turns(0, lambda: (), lambda _: None),
            errands=Errands(cast(Caller, None), self.clock, lambda _: None),
            consultations=Consultations(
                Silent(), self.clock, self.metrics, lambda _: None, self.outbox.say
            ),
            outbox=self.outbox,
            metrics=self.metrics,
            clock=self.clock,
            leading=self.leading,
            decide=self.decide,
            default_prometheus="http://metrics:9090",
        )
        stored = self.kube.seed(names.ROLLOUTS, {**objects.rollout(), **manifest})
        self.world.rollouts.known.see(stored)
        made = self.kube.seed(names.REPLICASETS, objects.replica_set())
        observer.remember(names.REPLICASETS, made)

    def decide(self, rollout: Rollout, seen: Observed, _: object) -> Plan:
        self.seen.append((rollout, seen))
        return self.plan

    async def go(self, plan: Plan | None = None) -> None:
        self.plan = plan or self.plan
        await self.reconciler.reconcile(KEY)

    @property
    def stored(self) -> dict[str, Any]:
        found = self.kube.peek(names.ROLLOUTS, "checkout", NAMESPACE)
        assert found is not None
        return found

    @property
    def writes(self) -> list[str]:
        return [f"{call.verb} {call.kind}" for call in self.kube.writes()]

    def stalled(self) -> tuple[str, str]:
        status = RolloutStatus.model_validate(self.stored.get("status", {}))
        found = conditions.find(status.conditions, "Stalled")
        return (found.reason, found.message) if found else ("", "")

    def shows(self, text: str) -> bool:
        return text in self.metrics.exposition().decode()


async def test_actions_then_status_then_what_comes_after() -> None:
    bench = Bench()
    await bench.go(Plan(status=GOING, actions=(SCALE,), after=(PROGRESSED,)))
    assert bench.writes == ["patch ReplicaSet", "replace Rollout"]
    assert bench.stored["status"]["phase"] == "Progressing"
    assert bench.sent.reasons() == ["Progressing"]
    assert bench.shows('kulta_reconciliations_total{result="success"} 1.0')
    assert bench.shows('kulta_reconciliation_duration_seconds_count{strategy="simple"} 1.0')
    assert bench.shows('kulta_rollouts_active{phase="Progressing",strategy="simple"} 1.0')
    assert bench.shows('kulta_traffic_weight{namespace="shop",rollout="checkout"} 20.0')


async def test_an_equal_status_is_not_written() -> None:
    bench = Bench(status={"phase": "Progressing", "currentWeight": 20})
    await bench.go(Plan(status=GOING, after=(PROGRESSED,)))
    assert bench.writes == []
    assert bench.sent.reasons() == ["Progressing"]


async def test_it_looks_again_at_the_time_that_the_plan_names() -> None:
    bench = Bench()
    await bench.go(Plan(status=RolloutStatus(), wake_at=NOON + timedelta(seconds=90)))
    assert bench.queue.after == [90.0]


async def test_a_time_that_has_passed_is_soon_and_not_a_hot_loop() -> None:
    bench = Bench()
    await bench.go(Plan(status=RolloutStatus(), wake_at=NOON - timedelta(seconds=1)))
    assert bench.queue.after == [0.02]


@pytest.mark.parametrize(
    ("refused", "status", "known"),
    [
        pytest.param((), BEGUN, 1, id="as usual"),
        pytest.param(("patch",), GOING, 1, id="while a change is refused"),
        pytest.param(("replace",), GOING, 1, id="while the status is refused"),
        pytest.param(("patch",), BEGUN, 0, id="not while a step cannot begin for it"),
        pytest.param(("replace",), BEGUN, 0, id="nor while its beginning is refused"),
    ],
)
async def test_queries_are_asked_in_the_background_and_seen_in_the_next_look(
    refused: tuple[str, ...], status: RolloutStatus, known: int
) -> None:
    bench = Bench()
    bench.kube.failures.extend((verb, Forbidden("by a policy")) for verb in refused)
    query = Query(address="http://prometheus:9090", text="up")
    await bench.go(Plan(status=status, actions=(SCALE,), queries=(query,)))
    for _ in range(5):
        await asyncio.sleep(0)
    await bench.go()
    assert bench.seen[0][1].measurements == {}
    assert [item.value for item in bench.seen[1][1].measurements.values()] == [1.0] * known


async def test_the_next_look_holds_our_own_writes() -> None:
    bench = Bench()
    await bench.go(Plan(status=GOING, actions=(SCALE,)))
    await bench.go()
    rollout, seen = bench.seen[1]
    assert (rollout.status, seen.replica_sets[0].replicas) == (GOING, 5)
    assert seen.default_prometheus == "http://metrics:9090"


async def test_the_next_look_knows_who_was_told_what() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.go(Plan(status=GOING, told=4))
    assert [(seen.told, seen.emitted) for _, seen in bench.seen] == [(0, 0), (4, 4), (4, 4)]


async def test_nobody_is_told_of_what_could_not_be_written() -> None:
    bench = Bench()
    bench.kube.failures.append(("replace", Conflict("somebody was faster")))
    for _ in range(3):
        await bench.go(Plan(status=GOING, told=4))
    assert [seen.told for _, seen in bench.seen] == [0, 0, 4]


async def test_the_events_of_a_successor_are_its_own() -> None:
    """The same name, another uid: decisions are counted anew."""
    bench = Bench()
    await bench.go(Plan(status=GOING, told=4))
    await bench.kube.delete(names.ROLLOUTS, "checkout", NAMESPACE)
    bench.world.rollouts.known.replace((), bench.world.rollouts.known.moment)
    bench.world.rollouts.known.see(bench.kube.seed(names.ROLLOUTS, objects.rollout(uid="another")))
    await bench.go(Plan(status=GOING))
    assert bench.seen[-1][1].told == 0


@pytest.mark.parametrize(
    "leads",
    [
        pytest.param(True, id="[L13] election on and leader: yes"),
        pytest.param(False, id="[L13] [Q8] election on and follower: no, and it asks nothing"),
    ],
)
async def test_only_the_leader_reconciles(leads: bool) -> None:
    bench = Bench()
    bench.leading.is_leader = leads
    await bench.go()
    assert bool(bench.seen) is leads
    assert leads or bench.kube.calls == []
    assert bench.queue.after == []
    assert bench.shows('kulta_reconciliations_total{result="skipped"} 1.0') is not leads


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(Forbidden("patch replicasets: 403"), "Forbidden", id="a missing right"),
        pytest.param(Invalid("image: Required value"), "InvalidSpec", id="a refused object"),
        pytest.param(UserError("RouteFull", "16 rules"), "RouteFull", id="a wrong route"),
        pytest.param(AlreadyExists("it is taken"), "WriteRefused", id="whatever else is refused"),
        pytest.param(UnexpectedState("two at once"), "UnexpectedState", id="a bug of ours"),
    ],
)
async def test_a_refusal_is_told_once_and_tried_again(error: FleetError, reason: str) -> None:
    bench = Bench()
    wanted = Plan(status=RolloutStatus(), actions=(SCALE,))
    for _ in range(2):
        bench.kube.failures.append(("patch", error))
        await bench.go(wanted)
    assert bench.stalled() == (reason, str(error))
    assert bench.writes.count("replace Rollout") == 1
    assert bench.sent.reasons() == [reason]
    assert bench.shows('kulta_reconciliations_total{result="error"} 2.0')


async def test_what_stood_in_the_way_is_cleared_when_it_goes() -> None:
    bench = Bench()
    bench.kube.failures.append(("patch", Forbidden("no")))
    await bench.go(Plan(status=RolloutStatus(), actions=(SCALE,)))
    known = bench.world.rollouts.get(KEY)
    assert known is not None
    await bench.go(Plan(status=known.status, may_wait=timedelta(seconds=5)))
    assert bench.stalled() == ("", "")


@pytest.mark.parametrize("error", [Unreachable("no answer"), Throttled("slow down"), NotFound("x")])
async def test_what_passes_is_tried_again_and_not_told(error: FleetError) -> None:
    bench = Bench()
    bench.kube.failures.append(("patch", error))
    await bench.go(Plan(status=GOING, actions=(SCALE,)))
    assert "status" not in bench.stored
    assert len(bench.queue.after) == 1


async def test_delays_grow_and_success_resets_them() -> None:
    """[L23] From 5 seconds to 5 minutes, half of each left to chance."""
    bench = Bench()
    wanted = Plan(status=RolloutStatus(), actions=(SCALE,))
    for _ in range(10):
        bench.kube.failures.append(("patch", Unreachable("no answer")))
        await bench.go(wanted)
    bounds = [min(5.0 * 2**n, 300.0) for n in range(10)]
    assert all(b / 2 <= found <= b for found, b in zip(bench.queue.after, bounds, strict=True))
    await bench.go(wanted)
    bench.kube.failures.append(("patch", Unreachable("no answer")))
    await bench.go(wanted)
    assert bench.queue.after[-1] <= 5.0


async def test_a_server_that_says_when_is_not_asked_before() -> None:
    bench = Bench()
    bench.kube.failures.append(("patch", Throttled("slow down", retry_after=400.0)))
    await bench.go(Plan(status=GOING, actions=(SCALE,)))
    assert bench.queue.after == [400.0]


async def test_a_conflict_is_a_reason_to_look_again_soon() -> None:
    bench = Bench()
    bench.kube.failures.append(("replace", Conflict("somebody was faster")))
    await bench.go(Plan(status=GOING))
    assert bench.queue.after == [CONFLICT_SECONDS]
    assert bench.stalled() == ("", "")


async def test_conflicts_in_a_row_are_looked_at_less_and_less_often() -> None:
    """Whoever else writes all the time, or a view that never heals, costs little."""
    bench = Bench()
    for _ in range(12):
        bench.kube.failures.append(("replace", Conflict("somebody was faster")))
        await bench.go(Plan(status=GOING))
    assert bench.queue.after[:4] == [0.1, 0.2, 0.4, 0.8]
    assert bench.queue.after[-1] == 30.0
    await bench.go(Plan(status=GOING))
    bench.kube.failures.append(("replace", Conflict("somebody was faster")))
    await bench.go(Plan(status=RolloutStatus(phase=Phase.COMPLETED)))
    assert bench.queue.after[-1] == CONFLICT_SECONDS


async def test_a_restored_server_is_believed_after_one_conflict() -> None:
    """Its versions are lower than those that we remember."""
    bench = Bench()
    ahead = {**bench.stored, "metadata": {**bench.stored["metadata"], "resourceVersion": "9999"}}
    bench.world.rollouts.known.see(ahead)
    await bench.go(Plan(status=GOING))
    assert "status" not in bench.stored
    await bench.go(Plan(status=GOING))
    assert bench.stored["status"]["phase"] == "Progressing"


async def test_a_rollout_that_is_gone_is_forgotten() -> None:
    """[L22] Its gauge disappears, and nothing is written."""
    bench = Bench()
    await bench.go(Plan(status=GOING))
    assert bench.shows("kulta_traffic_weight{")
    bench.world.rollouts.known.replace((), bench.world.rollouts.known.moment)
    await bench.go()
    assert not bench.shows("kulta_traffic_weight{")


async def test_a_rollout_whose_end_was_missed_is_forgotten_by_its_first_write() -> None:
    bench = Bench()
    await bench.kube.delete(names.ROLLOUTS, "checkout", NAMESPACE)
    await bench.go(Plan(status=GOING))
    assert KEY not in bench.world.rollouts.known
    assert bench.queue.after == []


@pytest.mark.parametrize(
    ("act", "looks"),
    [
        pytest.param(lambda bench: None, 1, id="it is there: go on"),
        pytest.param(
            lambda bench: bench.kube._objects.clear(), 0, id="it is gone: nothing is created"
        ),
    ],
)
async def test_a_lost_set_makes_us_ask_whether_the_rollout_is_there(
    act: Callable[[Bench], None], looks: int
) -> None:
    bench = Bench()
    bench.world.observer.bereaved.add(KEY)
    act(bench)
    await bench.go()
    assert len(bench.seen) == looks
    assert bench.world.observer.bereaved == set()
    assert [call.verb for call in bench.kube.calls] == ["get"]


async def test_an_object_that_our_models_refuse_says_why() -> None:
    wrong = objects.rollout()["spec"] | {"replicas": "many"}
    bench = Bench(spec=wrong, status={"phase": "Completed"})
    await bench.go()
    await bench.go()
    assert bench.writes == ["replace Rollout"]
    status = RolloutStatus.model_validate(bench.stored["status"])
    found = conditions.find(status.conditions, "InvalidSpec")
    assert found is not None
    assert found.message.startswith("spec.replicas ")
    assert status.phase is Phase.COMPLETED
