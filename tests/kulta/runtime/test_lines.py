"""Lines of the log: each says which Rollout, revision and step it is about, once per reconcile."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fleet.api.rollout import Decision, RolloutStatus
from fleet.errors import Unreachable
from fleet.kulta.core.actions import Plan
from fleet.kulta.core.messages.transition import Transition
from fleet.telemetry import logs
from tests.kulta.runtime.test_reconcile import SCALE, Bench

STANDS = {"phase": "Progressing", "currentPodHash": "aaaa", "step": "1/3"}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the root logger says as JSON; undone afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    text = io.StringIO()
    logs.configure(logging.INFO, json=True, stream=text)
    yield text
    root.handlers[:], level = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def decided(bench: Bench, *sequences: int) -> Plan:
    """A plan with these decisions about a new revision."""
    made = tuple(
        Decision(
            sequence=number,
            action="StepAdvance",
            reason="StepCompleted",
            weight=50,
            revision="bbbb",
            message="step 1 of 3",
        )
        for number in sequences
    )
    rollout = bench.world.rollouts.get(("shop", "checkout"))
    assert rollout is not None
    status = RolloutStatus(current_pod_hash="bbbb", step="2/3", decisions=made)
    told = rollout.model_copy(update={"status": status})
    return Plan(
        status=status, transitions=tuple(Transition(rollout=told, decision=x) for x in made)
    )


async def test_a_failure_says_where(stream: io.StringIO) -> None:
    bench = Bench(status=STANDS)
    bench.kube.failures.append(("patch", Unreachable("no answer")))
    await bench.go(Plan(status=RolloutStatus(), actions=(SCALE,)))
    (line,) = lines(stream)
    assert {key: line[key] for key in ("namespace", "rollout", "revision", "step")} == {
        "namespace": "shop",
        "rollout": "checkout",
        "revision": "aaaa",
        "step": "1/3",
    }
    assert (line["message"], line["why"]) == ("a reconcile failed", "no answer")


async def test_a_decision_is_a_line(stream: io.StringIO) -> None:
    bench = Bench(status=STANDS)
    await bench.go(decided(bench, 1))
    (line,) = lines(stream)
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "fleet.kulta.runtime.reconcile",
        "message": "decided",
        "namespace": "shop",
        "rollout": "checkout",
        "revision": "bbbb",
        "step": "2/3",
        "action": "StepAdvance",
        "reason": "StepCompleted",
        "weight": 50,
        "sequence": 1,
        "why": "step 1 of 3",
    }


async def test_what_is_told_again_is_no_news(stream: io.StringIO) -> None:
    known = {"sequence": 1, "action": "Initialize", "reason": "Initialization"}
    bench = Bench(status={**STANDS, "decisions": [known]})
    await bench.go(decided(bench, 1, 2))
    assert [line["sequence"] for line in lines(stream)] == [2]


async def test_an_unreadable_rollout_has_a_name_at_least(stream: io.StringIO) -> None:
    bench = Bench(spec={"replicas": "many"})
    await bench.go()
    assert {(line["rollout"], line.get("revision")) for line in lines(stream)} == {
        ("checkout", None)
    }
