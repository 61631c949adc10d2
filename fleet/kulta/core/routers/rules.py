"""Rules of ours in a user's route: requests that match go to a Service of their own.

Used by `gatewayapi`. For each branch, each rule that leads to the stable Service is cloned with the
branch's headers added to its matches, and the clone put before it: same paths, same filters, same
time-outs, another Service. Nothing else in the route changes. A clone asks for more than the rule
that it comes from, so every gateway prefers it. It comes and goes step by step (`introductions`).

What we put in is kept in an annotation, by which it is found again (`api.routes`).
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from fleet.api import routes
from fleet.api.meta import Manifest
from fleet.api.routes import Rule
from fleet.kulta.core.routers import introductions, matches
from fleet.kulta.core.routers.base import Backends, Branch
from fleet.kulta.core.routers.matches import Unanswerable
from fleet.kulta.core.wait import Wait

Named = tuple[str, Rule]
"""A rule and our name for it; the user's have none."""

MOST_RULES, MOST_MATCHES, MOST_IN_ALL, MOST_HEADERS = 16, 64, 128, 16
"""What a route may hold: rules, matches of one rule, matches of all, headers of one match."""


def ours(route: Manifest, backends: Backends) -> list[Rule]:
    """The rules of the user's in which the Rollout has a say: all, or those that it names."""
    own = set(find(route, backends))
    return [
        rule
        for at, rule in enumerate(routes.rules(route))
        if at not in own and (not backends.rules or rule.get("name") in backends.rules)
    ]


def find(route: Manifest, backends: Backends) -> list[int]:
    """Where in the route rules of this Rollout stand."""
    return routes.find(route, routes.records(route).get(backends.rollout, ()))


def misfit(route: Manifest, backends: Backends) -> Wait | None:
    """Why the rules of all branches cannot stand in the route; None when they can."""
    name = f"{route['kind']} {route['metadata']['name']}"
    try:
        rules = _arranged(route, backends, is_on=True)
    except Unanswerable as error:
        message = (
            f"a rule of {name} and {_what(backends)} both ask for header {error} by "
            "regular expression; write an exact value in one of them"
        )
        return Wait(reason="RouteMatchesConflict", message=message)
    for branch in backends.branches:
        if not any(own and routes.leads(rule, branch.service) for own, rule in rules):
            message = (
                f"no request that {name} sends to Service {backends.stable} can match "
                f"what Service {branch.service} is for; correct the matches of one of them"
            )
            return Wait(reason="RouteMatchesConflict", message=message)
    return _overfull(name, [rule for _, rule in rules], _what(backends))


def applied(
    route: Manifest, backends: Backends, *, is_on: bool, is_taken: bool, is_answered: bool
) -> Manifest | None:
    """The next step to exactly our rules of `backends`, or to none; None when it is so already, or
    the gateway has to take the step before.

    `is_taken`: every gateway has taken the route as it stands; `is_answered`: has done so, or
    refused it, which keeps nobody from taking rules out. Raises Unanswerable where `misfit` has an
    answer.
    """
    wanted = _arranged(route, backends, is_on=is_on)
    left = introductions.leaving(route, backends, [rule for name, rule in wanted if name])
    if introductions.is_open(route, left):
        changed = copy.deepcopy(dict(route))
        found = changed["spec"]["rules"]
        stable = routes.stable(route, backends.rollout) or backends.stable
        for at, service in left.items():
            found[at] = introductions.closed(found[at], service, stable)
        return changed
    if left and not is_answered:
        return None
    known = introductions.met(route, backends, is_taken=is_taken)
    stepped = [
        (name, introductions.coming(route, rule, known, backends.stable) if name else rule)
        for name, rule in wanted
    ]
    return _exactly(route, backends, stepped)


def removed(route: Manifest, backends: Backends) -> Manifest | None:
    """The route without any rule of ours, at once; None when it has none."""
    return _exactly(route, backends, _arranged(route, backends, is_on=False))


def _exactly(route: Manifest, backends: Backends, wanted: Sequence[Named]) -> Manifest | None:
    """The route with these rules, ours among them remembered."""
    live = routes.rules(route)
    kept = [routes.record(name, rule, backends.stable) for name, rule in wanted if name]
    is_there = len(live) == len(wanted) and all(
        routes.is_same(found, rule) if name else found == rule
        for found, (name, rule) in zip(live, wanted, strict=True)
    )
    if (
        is_there
        and _is_kept(routes.records(route).get(backends.rollout, []), kept)
        and not routes.is_broken(route)
    ):
        return None
    changed = copy.deepcopy(dict(route))
    changed["spec"]["rules"] = [copy.deepcopy(rule) for _, rule in wanted]
    routes.note(changed, backends.rollout, kept)
    return changed


def _arranged(route: Manifest, backends: Backends, *, is_on: bool) -> list[Named]:
    """All rules as they shall stand in the end."""
    users, taken = _users(route, backends)
    result: list[Named] = []
    for rule in users:
        if is_on and (not backends.rules or rule.get("name") in backends.rules):
            result += _clones(rule, backends, taken, matches.anything(route))
        result.append(("", rule))
    return result


def _users(route: Manifest, backends: Backends) -> tuple[list[Rule], set[str]]:
    """The rules that are not ours, and names that are taken. Where nobody can read which are, what
    equals one of ours, open or closed, is one."""
    before, live = set(find(route, backends)), routes.rules(route)
    users = [rule for index, rule in enumerate(live) if index not in before]
    taken = {str(rule.get("name")) for rule in users}
    for rollout, kept in routes.records(route).items():
        taken |= {str(item.get("name")) for item in kept if rollout != backends.rollout}
    if routes.is_broken(route):
        anything, names = matches.anything(route), set(taken)
        own = [
            x for rule in ours(route, backends) for _, x in _clones(rule, backends, names, anything)
        ]
        own += [introductions.coming(route, rule, (), backends.stable) for rule in own]
        users = [rule for rule in users if not any(routes.is_same(rule, item) for item in own)]
    return users, taken


def _is_kept(found: Sequence[routes.Record], wanted: Sequence[routes.Record]) -> bool:
    """Whether that is remembered, be it by an engine that did not remember the stable Service."""
    pairs = zip(found, wanted, strict=False)
    return len(found) == len(wanted) and all(one.items() <= other.items() for one, other in pairs)


def _clones(rule: Rule, backends: Backends, taken: set[str], anything: Rule) -> Iterator[Named]:
    """What stands beside a rule of the user's: for each branch one rule for all matches by headers,
    one for those by cookie."""
    stable = reference(rule, backends)
    if backends.beside is not None and not _holds_both(rule, backends):
        return
    for branch in backends.branches if stable is not None else ():
        for name, wanted in _kinds(branch):
            found = matches.joined(rule, wanted, anything)
            if found:
                made = _unique(name, taken)
                refs = [{**(stable or {}), "name": branch.service, "weight": 100}]
                clone = {**rule, "matches": found, "backendRefs": refs}
                yield made, clone | ({"name": made} if "name" in rule else {})


def _holds_both(rule: Rule, backends: Backends) -> bool:
    """Whether weights divide the requests of this rule."""
    return any(item.get("name") == backends.canary for item in rule.get("backendRefs") or [])


def _kinds(branch: Branch) -> Iterator[tuple[str, Sequence[Any]]]:
    cookies = [item for item in branch.matches if any(x.name.lower() == "cookie" for x in item)]
    yield branch.name, [item for item in branch.matches if item not in cookies]
    yield f"{branch.name}-cookie", cookies


def reference(rule: Rule, backends: Backends) -> Rule | None:
    """The one reference to the stable Service; of several, the one with the strategy's port."""
    found = [
        item
        for item in rule.get("backendRefs") or []
        if item.get("name") == backends.stable
        and (item.get("kind") or "Service") == "Service"
        and not item.get("group")
    ]
    if len(found) > 1:
        found = [item for item in found if item.get("port") == backends.port]
    return found[0] if len(found) == 1 else None


def _what(backends: Backends) -> str:
    """Whose matches they are."""
    return "the experiment" if backends.beside is None else "the canary"


def _overfull(name: str, rules: Sequence[Rule], what: str) -> Wait | None:
    """Why so many rules are too many."""
    each = [len(matches.of(rule)) for rule in rules]
    heads = [len(match.get("headers") or []) for rule in rules for match in matches.of(rule)]
    limits = (
        (len(rules), MOST_RULES, "rules"),
        (max(each, default=0), MOST_MATCHES, "matches in one rule"),
        (sum(each), MOST_IN_ALL, "matches"),
        (max(heads, default=0), MOST_HEADERS, "headers in one match"),
    )
    for count, most, items in limits:
        if count > most:
            message = (
                f"with {what} {name} would have {count} {items}, and {most} is "
                f"the most; split it, or take matches out of {what}"
            )
            return Wait(reason="RouteFull", message=message)
    return None


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
