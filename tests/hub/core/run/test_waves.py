"""Members into waves: order, overlaps, what is left over, and numbers that round down."""

from typing import Any

import pytest

from fleet.api.application import DeliveryPolicy, Limits
from fleet.api.fleetrollout import Plan
from fleet.errors import UserError
from fleet.hub.core import policy
from fleet.hub.core.run import waves
from tests.hub import gen

RINGS = {"a": "canary", "b": "rest", "c": "rest", "d": "rest", "e": "rest"}
MEMBERS = {name: gen.member(name, ring=ring) for name, ring in RINGS.items()}
CANARY = {"name": "canary", "clusterSelector": {"matchLabels": {"ring": "canary"}}}


def split(*given: dict[str, Any], **policy_: Any) -> Plan:
    body = DeliveryPolicy.model_validate({"waves": list(given), **policy_})
    resolved = policy.resolve(body, gen.fleet())
    return waves.plan(resolved, tuple(MEMBERS), MEMBERS)  # type: ignore[arg-type]


def sizes(plan: Plan) -> list[tuple[str, str, int, int]]:
    """(name, clusters, at once, budget) of each wave."""
    return [
        (wave.name, "".join(wave.clusters), wave.max_concurrency, wave.failure_budget)
        for wave in plan.waves
    ]


@pytest.mark.parametrize(
    ("given", "policy_", "expected"),
    [
        pytest.param([], {}, [("all", "abcde", 1, 0)], id="no waves are one wave, one at a time"),
        pytest.param(
            [], {"maxConcurrency": 2}, [("all", "abcde", 2, 0)], id="and the policy's concurrency"
        ),
        pytest.param(
            [CANARY, {"name": "rest", "remaining": True}],
            {},
            [("canary", "a", 1, 0), ("rest", "bcde", 1, 0)],
            id="by selector, then all that remain",
        ),
        pytest.param(
            [{"name": "two", "clusters": ["d", "b"]}, {"name": "rest", "remaining": True}],
            {},
            [("two", "bd", 1, 0), ("rest", "ace", 1, 0)],
            id="by name, in the order of names",
        ),
        pytest.param(
            [
                CANARY,
                {"name": "early", "clusters": ["a", "b"]},
                {"name": "rest", "remaining": True},
            ],
            {},
            [("canary", "a", 1, 0), ("early", "b", 1, 0), ("rest", "cde", 1, 0)],
            id="[MT-20] the first wave that matches takes the cluster",
        ),
        pytest.param(
            [CANARY],
            {"unmatchedClusters": "Ignore"},
            [("canary", "a", 1, 0)],
            id="[MT-21] unmatched clusters can be ignored",
        ),
        pytest.param(
            [{"name": "none", "clusterSelector": {"matchLabels": {"ring": "x"}}}, CANARY],
            {"unmatchedClusters": "Ignore"},
            [("none", "", 1, 0), ("canary", "a", 1, 0)],
            id="[MT-22] an empty wave stays in the plan",
        ),
        pytest.param(
            [{"name": "all", "remaining": True, "maxConcurrency": "50%", "failureBudget": "39%"}],
            {},
            [("all", "abcde", 2, 1)],
            id="percentages round down",
        ),
        pytest.param(
            [{"name": "all", "remaining": True, "maxConcurrency": "10%", "failureBudget": "10%"}],
            {},
            [("all", "abcde", 1, 0)],
            id="concurrency to at least one, a budget to none",
        ),
        pytest.param(
            [{"name": "all", "remaining": True, "failureBudget": 0}],
            {"failureBudget": 3},
            [("all", "abcde", 1, 0)],
            id="a zero of the wave is not a gap to fill",
        ),
        pytest.param(
            [CANARY, {"name": "rest", "remaining": True}],
            {"failureBudget": 3},
            [("canary", "a", 1, 1), ("rest", "bcde", 1, 3)],
            id="an inherited budget never exceeds the wave",
        ),
    ],
)
def test_waves(
    given: list[dict[str, Any]], policy_: dict[str, Any], expected: list[tuple[str, str, int, int]]
) -> None:
    assert sizes(split(*given, **policy_)) == expected


RISKS = {"a": "9", "b": "10", "c": "", "d": "low", "e": "9"}
RISKY = {name: gen.member(name, **({"risk": risk} if risk else {})) for name, risk in RISKS.items()}


@pytest.mark.parametrize(
    ("wave", "policy_", "order"),
    [
        pytest.param({}, {}, "abcde", id="by name"),
        pytest.param({"orderBy": "label:risk"}, {}, "aebdc",
                     id="numbers by their size, words, then who has none; equal ones by name"),
        pytest.param({}, {"orderBy": "label:risk"}, "aebdc", id="as the policy says"),
        pytest.param({"orderBy": "name"}, {"orderBy": "label:risk"}, "abcde",
                     id="the wave goes before the policy"),
    ],
)  # fmt: skip
def test_the_order_of_a_wave(wave: dict[str, Any], policy_: dict[str, Any], order: str) -> None:
    body = {"waves": [{"name": "all", "remaining": True, **wave}], **policy_}
    resolved = policy.resolve(DeliveryPolicy.model_validate(body), gen.fleet())
    plan = waves.plan(resolved, tuple(RISKY), RISKY)  # type: ignore[arg-type]
    assert "".join(plan.waves[0].clusters) == order


@pytest.mark.parametrize(
    ("given", "policy_", "reason", "message"),
    [
        pytest.param(
            [CANARY],
            {},
            "UnmatchedClusters",
            "no wave takes b, c, d, e: add a wave with remaining: true, or set "
            "deliveryPolicy.unmatchedClusters: Ignore",
            id="[MT-21] a cluster that no wave matches is refused by name",
        ),
        pytest.param(
            [{"name": "all", "remaining": True, "failureBudget": 6}],
            {},
            "InvalidSpec",
            "wave all: failureBudget: 6 is more than its 5 clusters: write at most 5, or a "
            "percentage",
            id="a budget above the wave's size is refused",
        ),
    ],
)
def test_refusals(
    given: list[dict[str, Any]], policy_: dict[str, Any], reason: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        split(*given, **policy_)
    assert (caught.value.reason, str(caught.value)) == (reason, message)


@pytest.mark.parametrize(
    ("given", "policy_", "note"),
    [
        pytest.param(
            [CANARY, {"name": "early", "clusters": ["a"]}, {"name": "rest", "remaining": True}],
            {},
            "a matches waves canary and early: it goes with canary",
            id="[MT-20] the plan says that a cluster is matched twice",
        ),
        pytest.param(
            [CANARY],
            {"unmatchedClusters": "Ignore"},
            "b belongs to no wave and is left out",
            id="[MT-21] the plan says who is left out",
        ),
        pytest.param(
            [CANARY, {"name": "none", "clusters": []}, {"name": "rest", "remaining": True}],
            {},
            "wave none is empty and is passed at once",
            id="[MT-22] the plan says that a wave is empty",
        ),
    ],
)
def test_notes(given: list[dict[str, Any]], policy_: dict[str, Any], note: str) -> None:
    assert note in split(*given, **policy_).notes


def late(**rest: Any) -> Plan:
    """Of those who remain one is late: the others have the revision."""
    body = DeliveryPolicy.model_validate(
        {
            "waves": [CANARY, {"name": "rest", "remaining": True, **rest}],
            "limits": {"minInterval": "2m", "maxTrafficShareOnNewRevision": "30%"},
        }
    )
    resolved = policy.resolve(body, gen.fleet())
    return waves.plan(resolved, ("e",), MEMBERS, tuple(MEMBERS))  # type: ignore[arg-type]


def test_who_is_late_is_measured_by_the_whole_wave() -> None:
    """And takes no share of the fleet from anybody; the distance between starts holds."""
    plan = late(failureBudget=4)
    assert sizes(plan) == [("canary", "", 1, 0), ("rest", "e", 1, 1)]
    assert [sizes(late(failureBudget=share))[1][3] for share in ("20%", "25%")] == [0, 1]
    assert (plan.min_interval_seconds, plan.traffic_percent) == (120, 100)
    with pytest.raises(UserError, match="failureBudget: 5 is more than its 4 clusters"):
        late(failureBudget=5)


def test_the_plan_has_numbers_for_every_duration() -> None:
    soaks = [{"soak": "15m"}, {"soak": "30s"}]
    given = {"name": "all", "remaining": True, "after": soaks, "progressDeadline": "1h"}
    plan = split(given, unavailableClusters={"timeout": "3h"})
    (wave,) = plan.waves
    assert (wave.soak_seconds, wave.progress_deadline_seconds) == (930, 3_600)
    assert plan.unavailable_timeout_seconds == 10_800


def test_what_brings_nothing_new_neither_soaks_nor_asks() -> None:
    """Windows, hooks and pauses bind it like any other."""
    window, hook = {"schedule": {"cron": "0 8 * * *", "duration": "1h"}}, {"hook": {"url": "u"}}
    before, after = [{"approval": {}}, window], [{"soak": "15m"}, {"approval": {}}, hook]
    plan = split({"name": "all", "remaining": True, "before": before, "after": after})
    (wave,) = plan.waves
    assert [gate.kind for gate in wave.before] == ["approval", "schedule"]
    assert [gate.kind for gate in wave.after] == ["approval", "hook"]
    (short,) = waves.without_trial(plan).waves
    kept = {"soak_seconds": 0, "before": wave.before[1:], "after": wave.after[1:]}
    assert short == wave.model_copy(update=kept)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        pytest.param(None, (0, 100, ""), id="none"),
        pytest.param({"minInterval": "2m"}, (120, 100, "rest"), id="a distance"),
        pytest.param({"maxTrafficShareOnNewRevision": "30%"}, (0, 30, "rest"),
                     id="a share, before the last wave unless it is said"),
        pytest.param({"maxTrafficShareOnNewRevision": "30%", "untilWave": "canary"},
                     (0, 30, "canary"), id="or before another"),
    ],
)  # fmt: skip
def test_limits_over_all_waves(
    limits: dict[str, Any] | None, expected: tuple[int, int, str]
) -> None:
    given = {"limits": limits} if limits else {}
    plan = split(CANARY, {"name": "rest", "remaining": True}, **given)
    assert (plan.min_interval_seconds, plan.traffic_percent, plan.traffic_wave) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, (2, "Halt", True, "Defer", 7_200, "Append", "Report"), id="the defaults"),
        pytest.param(
            {
                "rollback": {"maxConcurrency": "60%"},
                "onFailure": "Rollback",
                "haltOnFirstFailedAnalysis": False,
                "unavailableClusters": {"policy": "Block", "timeout": "5m"},
                "membershipChanges": "Abort",
                "onConflict": "Force",
            },
            (3, "Rollback", False, "Block", 300, "Abort", "Force"),
            id="and whatever is said, percentages of those who go",
        ),
    ],
)
def test_the_rest_of_a_plan(given: dict[str, Any], expected: tuple[Any, ...]) -> None:
    plan = split(**given)
    assert expected == (
        plan.rollback_concurrency,
        plan.on_failure,
        plan.halt_on_first_failed_analysis,
        plan.unavailable,
        plan.unavailable_timeout_seconds,
        plan.membership,
        plan.on_conflict,
    )


@pytest.mark.parametrize(
    ("own", "fleet", "name", "expected"),
    [
        pytest.param({}, {}, "on_failure", "Halt", id="the default is to halt"),
        pytest.param({}, {"onFailure": "Continue"}, "on_failure", "Continue", id="the fleet's"),
        pytest.param(
            {"onFailure": "Halt"}, {"onFailure": "Continue"}, "on_failure", "Halt", id="its own"
        ),
        pytest.param({"failureBudget": 0}, {"failureBudget": 2}, "failure_budget", 0, id="a zero"),
        pytest.param({}, {"paused": True}, "paused", True, id="a fleet can pause"),
        pytest.param({}, {}, "halt_on_first_failed_analysis", True, id="the halt is on"),
        pytest.param(
            {"haltOnFirstFailedAnalysis": False}, {}, "halt_on_first_failed_analysis", False,
            id="and can be turned off",
        ),
        pytest.param({}, {}, "revision_history_limit", 10, id="ten runs are kept"),
        pytest.param(
            {"limits": {"minInterval": "1m"}}, {"limits": {"maxTrafficShareOnNewRevision": "30%"}},
            "limits", Limits(min_interval="1m"), id="a key with parts counts as a whole",
        ),
    ],
)  # fmt: skip
def test_fall_backs(
    own: dict[str, Any], fleet: dict[str, Any], name: str, expected: object
) -> None:
    body = {"members": {"names": ["a"]}, "defaults": {"deliveryPolicy": fleet}}
    resolved = policy.resolve(DeliveryPolicy.model_validate(own), gen.fleet(**body))
    assert getattr(resolved, name) == expected
