"""The nginx router: the name of our Ingress, and what is read of one that somebody changed."""

from typing import Any

import pytest

from fleet.api import names
from fleet.kulta.core.routers import ROUTERS, Backends
from fleet.kulta.core.routers.base import Origin
from tests import gen

ROUTER = ROUTERS["Ingress"]
PREFIX = "nginx.ingress.kubernetes.io"


def backends(source: Any = None, prefix: str = PREFIX) -> Backends:
    origin = Origin(source=source or gen.ingress(), owner={"uid": "u"}, prefix=prefix, notes={})
    return Backends(rollout=gen.NAME, stable=gen.STABLE, canary=gen.CANARY, origin=origin)


def test_name_says_whose_it_is() -> None:
    assert ROUTER.own("checkout", "web") == "checkout-web-canary"


def test_long_names_stay_apart_and_fit() -> None:
    found = {ROUTER.own("checkout", "x" * 250 + end) for end in "ab"}
    assert len(found) == 2
    assert {len(name) for name in found} == {253}


@pytest.mark.parametrize(
    ("weight", "percent"),
    [
        pytest.param("20", 20, id="as written"),
        pytest.param("0", 0, id="none"),
        pytest.param("250", 100, id="too much"),
        pytest.param("x", 100, id="nonsense may be everything"),
        pytest.param("", 100, id="nothing may be everything"),
    ],
)
def test_weight_in_percent(weight: str, percent: int) -> None:
    made = dict(ROUTER.weighted({}, backends(), 5) or {})
    made["metadata"]["annotations"][f"{PREFIX}/canary-weight"] = weight
    assert ROUTER.weight(made, backends()) == percent
    assert ROUTER.weight({}, backends()) == 0


def test_without_weight_none_is_made() -> None:
    assert ROUTER.weighted({}, backends(), 0) is None


def test_older_clusters_name_the_class_in_an_annotation() -> None:
    source = gen.ingress()
    del source["spec"]["ingressClassName"]
    source["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "nginx", "other": "x"}
    made = ROUTER.weighted({}, backends(source, "example.com"), 5)
    assert made is not None
    assert made["metadata"]["annotations"] == {
        "example.com/canary": "true",
        "example.com/canary-weight": "5",
        "kubernetes.io/ingress.class": "nginx",
    }
    assert "ingressClassName" not in made["spec"]


def test_what_others_note_on_ours_stays() -> None:
    made = dict(ROUTER.weighted({}, backends(), 5) or {})
    made["metadata"]["annotations"] |= {"team": "a", f"{PREFIX}/rewrite-target": "/"}
    made["metadata"]["resourceVersion"] = "7"
    changed = ROUTER.weighted(made, backends(), 5)
    assert changed is not None, "an annotation of nginx that is not ours is taken off"
    notes = changed["metadata"]["annotations"]
    assert notes["team"] == "a"
    assert f"{PREFIX}/rewrite-target" not in notes
    assert changed["metadata"]["resourceVersion"] == "7"
    assert ROUTER.weighted(changed, backends(), 5) is None


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="nobody's"),
        pytest.param({names.MANAGED_LABEL: "true", names.ROLLOUT_LABEL: "cart"}, id="another's"),
    ],
)
def test_an_ingress_of_that_name_that_is_not_ours_is_told(labels: dict[str, str]) -> None:
    found = gen.ingress()
    found["metadata"]["labels"] = labels
    problem = ROUTER.problem(found, backends())
    assert problem is not None
    assert problem.reason == "ForeignObject"
