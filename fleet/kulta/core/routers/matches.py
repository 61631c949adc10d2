"""Which requests: a rule's matches and a branch's headers, asked for at once.

Used by `rules`. A match may ask for each header only once, so two wishes about one header become
one, where that can be written.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet.kulta.core.routers.base import AMONG, Headers

Match = dict[str, Any]

ANYTHING: Mapping[str, Any] = {"path": {"type": "PathPrefix", "value": "/"}}
"""What a rule without matches asks for, as servers fill it in; that of a GRPCRoute stays empty."""
REGEX = "RegularExpression"
TEXT = r"(?:\\.|[^\\()|*+?{])*"
PLAIN = re.compile(
    rf"{TEXT}(?:[*+?{{]{TEXT}){{0,2}}|{re.escape(AMONG[0])}{TEXT}{re.escape(AMONG[1])}"
)
"""Patterns that are tried at once: without groups but those of our cookies, and with so few
repetitions that none takes long for any value."""


class Unanswerable(Exception):
    """Which requests fit both wishes cannot be written; says the header."""


def anything(route: Mapping[str, Any]) -> Match:
    """The match that leaves nobody out of a rule of this route."""
    return dict(ANYTHING) if route["kind"] == "HTTPRoute" else {}


def of(rule: Mapping[str, Any], otherwise: Mapping[str, Any] = ANYTHING) -> list[Match]:
    """The matches of a rule, of which one must hold."""
    return rule.get("matches") or [dict(otherwise)]


def joined(
    rule: Mapping[str, Any], wanted: Sequence[Headers], otherwise: Mapping[str, Any] = ANYTHING
) -> list[Match]:
    """Matches for requests that fit `rule` and one of `wanted`. Raises Unanswerable."""
    return list(_joined(of(rule, otherwise), wanted))


def _joined(known: Sequence[Match], wanted: Sequence[Headers]) -> Iterator[Match]:
    for match in known:
        for headers in wanted:
            found = _both(match.get("headers") or [], headers)
            if found is not None:
                yield {**match, "headers": found}


def _both(known: Sequence[Match], wanted: Headers) -> list[Match] | None:
    """All headers of both; None where no request could have them."""
    result = {item["name"].lower(): item for item in known}
    for header in wanted:
        key = header.name.lower()
        other = {"type": header.type, "name": header.name, "value": header.value}
        met = _met(result[key], other) if key in result else other
        if met is None:
            return None
        result[key] = met
    return list(result.values())


def _met(one: Match, other: Match) -> Match | None:
    """One wish instead of two about one header; None where no value fits both."""
    kinds = [item.get("type") == REGEX for item in (one, other)]
    if (kinds[0], one["value"]) == (kinds[1], other["value"]):
        return one
    if not any(kinds):
        return None
    if all(kinds):
        raise Unanswerable(one["name"])
    pattern, exact = (one, other) if kinds[0] else (other, one)
    if not PLAIN.fullmatch(pattern["value"]):
        raise Unanswerable(one["name"])
    try:
        fits = re.fullmatch(pattern["value"], exact["value"])
    except re.error:
        raise Unanswerable(one["name"]) from None
    return {**exact, "type": "Exact"} if fits else None
