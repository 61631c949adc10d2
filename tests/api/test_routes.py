"""Rules of an experiment in a route: found again, whatever a server or somebody made of them."""

from typing import Any

import pytest

from fleet.api import names, routes

MATCHES = [{"headers": [{"name": "x-group", "value": "b"}]}]
FILLED = [{"headers": [{"name": "x-group", "value": "b", "type": "Exact"}]}]
OTHER = [{"path": {"value": "/else"}}]


def rule(service: str = "checkout-b", matches: Any = MATCHES, **more: Any) -> dict[str, Any]:
    return {"matches": matches, "backendRefs": [{"name": service, "weight": 100}], **more}


def route(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "checkout"}, "spec": {"rules": list(rules)}}


def closed(service: str = "checkout-b", weight: int = 0) -> dict[str, Any]:
    """It names the Service beside the stable one."""
    refs = [{"name": "checkout", "weight": 100}, {"name": service, "weight": weight}]
    return rule() | {"backendRefs": refs}


KEPT = routes.record("b", rule(), "checkout")


@pytest.mark.parametrize(
    ("rules", "spots"),
    [
        pytest.param([], [], id="a route without rules"),
        pytest.param([rule()], [0], id="as it was written"),
        pytest.param([rule(matches=FILLED)], [0], id="with the server's defaults"),
        pytest.param([rule("checkout"), rule()], [1], id="behind another"),
        pytest.param([rule(name="b", matches=OTHER)], [0], id="by its name, changed by somebody"),
        pytest.param([rule(name="c")], [0], id="by what it says, under another name"),
        pytest.param([rule("checkout-c")], [], id="the same matches for another Service"),
        pytest.param([rule(matches=OTHER)], [], id="other matches for that Service"),
        pytest.param([rule(), rule()], [0], id="once, where it stands twice"),
        pytest.param([closed()], [0], id="closed"),
        pytest.param([closed(weight=1)], [], id="not what sends some of its requests there"),
        pytest.param([closed("checkout-c")], [], id="nor what is closed to another Service"),
    ],
)
def test_a_remembered_rule_is_found_again(rules: list[dict[str, Any]], spots: list[int]) -> None:
    assert routes.find(route(*rules), [KEPT]) == spots


def test_two_records_find_two_rules() -> None:
    assert routes.find(route(rule(), rule("checkout")), [KEPT, KEPT]) == [0]
    assert routes.find(route(rule(), rule("checkout"), rule()), [KEPT, KEPT]) == [0, 2]


@pytest.mark.parametrize(
    ("kept", "stable"),
    [
        pytest.param([], "", id="nothing is kept"),
        pytest.param([KEPT], "checkout", id="as it was written"),
        pytest.param([{"name": "b", "service": "checkout-b"}], "", id="by an engine before"),
    ],
)
def test_whom_rules_stand_in_for_is_remembered(kept: list[Any], stable: str) -> None:
    there = route(rule())
    routes.note(there, "checkout", kept)
    assert routes.stable(there, "checkout") == stable
    assert routes.stable(there, "search") == ""


def test_the_note_of_each_rollout_stands_beside_the_others_and_goes_with_the_last() -> None:
    there = route(rule())
    routes.note(there, "checkout", [KEPT])
    routes.note(there, "search", [KEPT])
    assert set(routes.records(there)) == {"checkout", "search"}
    routes.note(there, "checkout", [])
    assert set(routes.records(there)) == {"search"}
    routes.note(there, "search", [])
    assert names.MANAGED_RULES not in there["metadata"]["annotations"]
