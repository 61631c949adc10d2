"""Arms as the spec wishes them: who gets them, what they run, and what is wrong with a wish.

How one cookie is read stands in `test_branches`.
"""

from typing import Any

import pytest

from fleet.api.experiment import ContainerChange, VariantWish
from fleet.api.rollout import Rollout
from fleet.kulta.core.feedback import validation
from fleet.kulta.core.tactics import arms
from tests import gen

AT = "spec.strategy.abTesting"
HEADER = {"name": "X-Variant", "value": "B"}
COOKIE = {"name": "variant", "value": "b"}


def parsed(**more: Any) -> Rollout:
    return gen.rollout(strategy=gen.ab_testing(**more))


def found(**more: Any) -> tuple[arms.Arm, ...]:
    spec = parsed(**more).spec
    assert spec.strategy.ab_testing is not None
    return arms.of(spec, spec.strategy.ab_testing)


def test_header_and_cookie_are_alternatives() -> None:
    """[T11] One of them is enough; in `matches` all of one entry are wanted."""
    (arm,) = found(
        variantBMatch={"header": HEADER, "cookie": COOKIE},
        matches=[{"headers": [HEADER, {"name": "Beta", "value": "1"}], "cookie": COOKIE}],
    )
    names = [[item.name for item in headers] for headers in arm.branch.matches]
    assert names == [["X-Variant"], ["Cookie"], ["X-Variant", "Beta", "Cookie"]]
    assert [item.type for item in arm.branch.matches[2]] == ["Exact", "Exact", "RegularExpression"]


def test_arms_are_named_in_their_order() -> None:
    three = found(variants=[gen.variant("shop:v3"), gen.variant("shop:v4", "d")])
    assert [(arm.name, arm.role, arm.branch.service) for arm in three] == [
        ("B", "variant-b", "checkout-b"),
        ("C", "variant-c", "checkout-c"),
        ("D", "variant-d", "checkout-d"),
    ]
    assert [arm.revision for arm in three] == [
        gen.revision("shop:v1"),
        gen.revision("shop:v3"),
        gen.revision("shop:v4"),
    ]


def test_containers_change_and_nothing_else() -> None:
    template = {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {
            "volumes": [{"name": "data"}],
            "containers": [
                {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}]},
                {"name": "side", "image": "side:1", "args": ["-v"]},
            ],
        },
    }
    changes = [
        ContainerChange.model_validate(
            {
                "name": "web",
                "image": "web:2",
                "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}],
            }
        ),
        ContainerChange.model_validate({"name": "side", "args": []}),
    ]
    changed = VariantWish.model_construct(containers=tuple(changes)).applied(template)
    web, side = changed["spec"]["containers"]
    assert web == {
        "name": "web",
        "image": "web:2",
        "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}],
    }
    assert side == {"name": "side", "image": "side:1", "args": []}
    assert changed["metadata"] == template["metadata"]
    assert changed["spec"]["volumes"] == [{"name": "data"}]
    assert template["spec"]["containers"][0]["image"] == "web:1"  # type: ignore[index]


REGEX = {"name": "X", "type": "RegularExpression", "value": "("}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        pytest.param(
            {"variantBMatch": None},
            (f"{AT}.variantBMatch needs a header or a cookie", "nobody would ever get B"),
            id="[V20] nobody gets B",
        ),
        pytest.param(
            {"variantBMatch": {}}, ("nobody would ever get B",), id="[V20] an empty match"
        ),
        pytest.param(
            {"variantBService": gen.STABLE},
            (f"{AT}.variantAService and variantBService are both checkout",),
            id="one Service for both",
        ),
        pytest.param(
            {"variantAService": ""}, ("variantAService cannot be empty",), id="no Service"
        ),
        pytest.param(
            {"variants": [{**gen.variant("x"), "service": gen.VARIANT}]},
            ("variantBService and variants[0].service are both checkout-b",),
            id="C has the Service of B",
        ),
        pytest.param(
            {"variantBMatch": {"header": REGEX}},
            (f"{AT}.variantBMatch.header.value '(' is no regular expression",),
            id="a broken pattern",
        ),
        pytest.param(
            {"matches": [{"headers": [REGEX]}]},
            (f"{AT}.matches[0].headers[0].value '('",),
            id="a broken pattern in a list",
        ),
        pytest.param(
            {"matches": [{}]}, (f"{AT}.matches[0] needs headers or a cookie",), id="everybody"
        ),
        pytest.param(
            {"matches": [{"headers": [HEADER, {**HEADER, "name": "x-variant"}]}]},
            (f"{AT}.matches[0].headers[1].name x-variant is there twice",),
            id="one header twice",
        ),
        pytest.param(
            {"variants": [{**gen.variant("x"), "containers": [{"name": "web", "image": "x"}]}]},
            (f"{AT}.variants[0].containers[0].name web is no container", "write one of app"),
            id="a container that is not there",
        ),
        pytest.param(
            {"variants": [gen.variant("shop:v1")]},
            (f"{AT}.variants[0] runs the same as variant B",),
            id="C runs what B runs",
        ),
        pytest.param(
            {"variants": [gen.variant("shop:v3"), gen.variant("shop:v3", "d")]},
            (f"{AT}.variants[1] runs the same as variant C",),
            id="D runs what C runs",
        ),
        pytest.param(
            {"variants": [{**gen.variant("shop:v3"), "matches": [{"cookie": COOKIE}]}]},
            (f"{AT}.variants[0].matches ask for the same as those of variant B",),
            id="C asks for whom B asks",
        ),
        pytest.param(
            {"maxDuration": "9d"}, (f"{AT}.maxDuration '9d' is out of range",), id="[D9] nine days"
        ),
        pytest.param(
            {"maxDuration": "1h", "analysis": gen.ab_analysis(minDuration="2h")},
            (f"{AT}.analysis.minDuration 2h is longer than maxDuration 1h",),
            id="the least is longer than the longest",
        ),
        pytest.param(
            {"analysis": gen.ab_analysis(plannedShares=[50, 25, 25])},
            (f"{AT}.analysis.plannedShares has 3 shares for 2 arms",),
            id="shares for an arm that is not there",
        ),
        pytest.param(
            {
                "analysis": gen.ab_analysis(
                    {"name": "error-rate", "direction": "lower"},
                    {"name": "error-rate", "direction": "higher"},
                )
            },
            (f"{AT}.analysis.metrics[1].name error-rate is there twice",),
            id="one metric twice",
        ),
        pytest.param(
            {
                "analysis": gen.ab_analysis(
                    {
                        "name": "paid",
                        "direction": "higher",
                        "numerator": "{{ canary }}",
                        "denominator": "n",
                    }
                )
            },
            (f"{AT}.analysis.metrics[0].numerator has {{{{ canary }}}}, which means nothing",),
            id="a placeholder that means nothing",
        ),
    ],
)
def test_wrong_wishes_are_named(wish: dict[str, Any], words: tuple[str, ...]) -> None:
    kept = {key: value for key, value in wish.items() if value is not None}
    body = gen.ab_testing(**kept)["abTesting"]
    body = {key: value for key, value in body.items() if key in kept or key not in wish}
    (problem,) = validation.problems(gen.rollout(strategy={"abTesting": body}).spec)
    for word in words:
        assert word in problem


def test_week_is_as_long_as_it_gets() -> None:
    """[D9] `7d` is accepted."""
    assert validation.problems(parsed(maxDuration="7d").spec) == ()
