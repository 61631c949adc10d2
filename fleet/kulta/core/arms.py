"""The arms of an experiment as the spec wishes them: what each runs, and who gets there; and who
gets a canary whatever its weight.

Used by these two strategies alone; everybody else finds them in `traits`. Pure: the same spec gives
the same arms.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet.api.experiment import LETTERS, ContainerChange, CookieMatch, HeaderMatch, Match
from fleet.api.rollout import ABTesting, Canary, RolloutSpec
from fleet.kit import hashing
from fleet.kulta.core.routers.base import AMONG, Beside, Branch, Cookie, Header, Headers
from fleet.kulta.core.traits import Arm

Template = Mapping[str, Any]

NEW = "canary"
"""The name of rules that lead to a canary."""


def of(spec: RolloutSpec, wish: ABTesting) -> tuple[Arm, ...]:
    """B, then the variants as C, D and so on."""
    first = _arm("B", spec.template, wish.variant_b_service, tuple(_first(wish)))
    others = (
        _arm(
            letter,
            changed(spec.template, item.containers),
            item.service,
            tuple(_headers(match) for match in item.matches),
        )
        for letter, item in zip(LETTERS[2:], wish.variants, strict=False)
    )
    return (first, *others)


def role(letter: str) -> str:
    """The type label of an arm's pods, as the reference has it for A and B."""
    return f"variant-{letter.lower()}"


def _arm(letter: str, template: Template, service: str, matches: tuple[Headers, ...]) -> Arm:
    return Arm(
        name=letter,
        role=role(letter),
        revision=hashing.pod_hash(template),
        template=template,
        branch=Branch(name=role(letter), service=service, matches=matches),
    )


def beside(wish: Canary, revision: str) -> Beside | None:
    """Who gets a canary whatever its weight; None where nobody is named."""
    headers = tuple((_header(item),) for item in wish.header_routes)
    branches = (Branch(name=NEW, service=wish.canary_service, matches=headers),) if headers else ()
    affinity = wish.session_affinity
    if affinity is None:
        return Beside(branches=branches) if branches else None
    match = (cookie(CookieMatch(name=affinity.cookie_name, value=revision)),)
    return Beside(
        branches=branches,
        cookie=Cookie(
            name=affinity.cookie_name,
            text=f"{affinity.cookie_name}={revision}; Path=/; Max-Age={affinity.max_age}; HttpOnly",
        ),
        carriers=Branch(name=NEW, service=wish.canary_service, matches=(match,)),
    )


def _first(wish: ABTesting) -> Iterator[Headers]:
    """Who gets B: the header or the cookie of the reference, or what one of `matches` says."""
    known = wish.variant_b_match
    if known is not None and known.header is not None:
        yield (_header(known.header),)
    if known is not None and known.cookie is not None:
        yield (cookie(known.cookie),)
    yield from (_headers(match) for match in wish.matches)


def _headers(match: Match) -> Headers:
    found = [_header(item) for item in match.headers]
    return (*found, cookie(match.cookie)) if match.cookie is not None else tuple(found)


def _header(wish: HeaderMatch) -> Header:
    return Header(name=wish.name, value=wish.value, type=wish.type)


def cookie(wish: CookieMatch) -> Header:
    """A header that has this cookie, whole, wherever it stands among others."""
    name, value = _escaped(wish.name), _escaped(wish.value)
    before, after = AMONG
    return Header(name="Cookie", value=f"{before}{name}={value}{after}", type="RegularExpression")


def _escaped(text: str) -> str:
    """For RE2, which every gateway reads: a backslash before what is no letter, digit or dash."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", text)


def changed(template: Template, changes: Sequence[ContainerChange]) -> dict[str, Any]:
    """The template with other images, arguments or variables in the containers that are named."""
    wanted = {item.name: item for item in changes}
    spec = dict(template.get("spec") or {})
    spec["containers"] = [
        _container(item, wanted[item["name"]]) if item.get("name") in wanted else item
        for item in spec.get("containers") or []
    ]
    return {**template, "spec": spec}


def _container(known: Mapping[str, Any], change: ContainerChange) -> dict[str, Any]:
    result = dict(known)
    if change.image is not None:
        result["image"] = change.image
    if change.args is not None:
        result["args"] = list(change.args)
    if change.env:
        added = {item.name: {"name": item.name, "value": item.value} for item in change.env}
        kept = [added.pop(item["name"], item) for item in known.get("env") or []]
        result["env"] = [*kept, *added.values()]
    return result
