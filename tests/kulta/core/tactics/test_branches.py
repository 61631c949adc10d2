"""Cookies as routers read them: a pattern of the one header that holds them all."""

import re

import pytest

from fleet.api.experiment import CookieMatch
from fleet.kulta.core.tactics import branches


@pytest.mark.parametrize(
    ("said", "is_in"),
    [
        pytest.param("ab=B", True, id="[T10] alone"),
        pytest.param("x=1; ab=B", True, id="[T10] at the end"),
        pytest.param("ab=B; x=1", True, id="[T10] in front"),
        pytest.param("x=1;ab=B;y=2", True, id="[T10] in the middle"),
        pytest.param("ab=B2", False, id="[T19] a longer value"),
        pytest.param("tab=B", False, id="[T19] a longer name"),
        pytest.param("ab=b", False, id="another case"),
    ],
)
def test_cookie_is_read_whole(said: str, is_in: bool) -> None:
    header = branches.cookie(CookieMatch(name="ab", value="B"))
    assert bool(re.fullmatch(header.value, said)) is is_in


def test_signs_in_a_cookie_mean_themselves() -> None:
    header = branches.cookie(CookieMatch(name="a.b", value="x+y|z=="))
    assert re.fullmatch(header.value, "a.b=x+y|z==")
    assert not re.fullmatch(header.value, "aXb=xxy")
