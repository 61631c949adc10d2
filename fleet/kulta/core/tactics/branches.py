"""Who gets a revision by what a request says: headers and cookies of a spec, as routers read them.

Asked by `arms` for experiments and by the canary strategy for those who get it whatever its weight.
Pure: the same spec gives the same branches.
"""

import re
from collections.abc import Iterator

from fleet.api.experiment import CookieMatch, HeaderMatch, Match
from fleet.api.rollout import ABTesting, Canary
from fleet.kulta.core.routers.base import AMONG, Beside, Branch, Cookie, Header, Headers

NEW = "canary"
"""The name of rules that lead to a canary."""


def beside(wish: Canary, revision: str) -> Beside | None:
    """Who gets a canary whatever its weight; None where nobody is named."""
    found = tuple((_header(item),) for item in wish.header_routes)
    branches = (Branch(name=NEW, service=wish.canary_service, matches=found),) if found else ()
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


def first(wish: ABTesting) -> Iterator[Headers]:
    """Who gets B: the header or the cookie of the reference, or what one of `matches` says."""
    known = wish.variant_b_match
    if known is not None and known.header is not None:
        yield (_header(known.header),)
    if known is not None and known.cookie is not None:
        yield (cookie(known.cookie),)
    yield from (headers(match) for match in wish.matches)


def headers(match: Match) -> Headers:
    """All that one match asks for at once."""
    found = [_header(item) for item in match.headers]
    return (*found, cookie(match.cookie)) if match.cookie is not None else tuple(found)


def cookie(wish: CookieMatch) -> Header:
    """A header that has this cookie, whole, wherever it stands among others."""
    name, value = _escaped(wish.name), _escaped(wish.value)
    before, after = AMONG
    return Header(name="Cookie", value=f"{before}{name}={value}{after}", type="RegularExpression")


def _header(wish: HeaderMatch) -> Header:
    return Header(name=wish.name, value=wish.value, type=wish.type)


def _escaped(text: str) -> str:
    """For RE2, which every gateway reads: a backslash before what is no letter, digit or dash."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", text)
