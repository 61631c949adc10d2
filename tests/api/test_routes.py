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


KEPT = routes.record("b", rule())


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
    ],
)
def test_a_remembered_rule_is_found_again(rules: list[dict[str, Any]], spots: list[int]) -> None:
    assert routes.find(route(*rules), [KEPT]) == spots


def test_two_records_find_two_rules() -> None:
    assert routes.find(route(rule(), rule("checkout")), [KEPT, KEPT]) == [0]
    assert routes.find(route(rule(), rule("checkout"), rule()), [KEPT, KEPT]) == [0, 2]


def test_the_note_of_each_rollout_stands_beside_the_others_and_goes_with_the_last() -> None:
    there = route(rule())
    routes.note(there, "checkout", [KEPT])
    routes.note(there, "search", [KEPT])
    assert set(routes.records(there)) == {"checkout", "search"}
    routes.note(there, "checkout", [])
    assert set(routes.records(there)) == {"search"}
    routes.note(there, "search", [])
    assert names.MANAGED_RULES not in there["metadata"]["annotations"]
