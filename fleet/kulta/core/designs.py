"""What is wrong with an experiment as the spec wishes it, beyond what single fields can say.

Called by the A/B strategy for `validation`. Sentences as in `problems`: field, value, correction.
"""

import math
from collections.abc import Iterator

from fleet.api.experiment import BUILT_IN, ABAnalysis, ABMetric, HeaderMatch, is_regex
from fleet.api.rollout import ABTesting, RolloutSpec
from fleet.kit import durations
from fleet.kulta.core import arms
from fleet.kulta.core import problems as shared
from fleet.kulta.core.analysis import shares


def problems(spec: RolloutSpec, wish: ABTesting, at: str) -> Iterator[str]:
    """Everything about `strategy.abTesting`, which stands at the path `at`."""
    named = {"variantAService": wish.variant_a_service, "variantBService": wish.variant_b_service}
    for index, variant in enumerate(wish.variants):
        named[f"variants[{index}].service"] = variant.service
    yield from shared.services(at, named)
    yield from _matches(wish, at)
    yield from _variants(spec, wish, at)
    yield from shared.duration(f"{at}.maxDuration", wish.max_duration)
    if wish.analysis is not None:
        yield from _analysis(wish.analysis, f"{at}.analysis", 2 + len(wish.variants))
        yield from _times(wish, at)


def _matches(wish: ABTesting, at: str) -> Iterator[str]:
    known = wish.variant_b_match
    is_bare = known is not None and known.header is None and known.cookie is None
    if is_bare or (known is None and not wish.matches):
        yield (
            f"{at}.variantBMatch needs a header or a cookie, for example "
            "{cookie: {name: variant, value: b}}; without one nobody would ever get B"
        )
    if known is not None and known.header is not None:
        yield from _header(known.header, f"{at}.variantBMatch.header")
    places = [(f"{at}.matches[{index}]", item) for index, item in enumerate(wish.matches)]
    for number, variant in enumerate(wish.variants):
        own = f"{at}.variants[{number}].matches"
        places += [(f"{own}[{index}]", item) for index, item in enumerate(variant.matches)]
    for where, match in places:
        if not match.headers and match.cookie is None:
            yield f"{where} needs headers or a cookie; a match of everything leaves nobody for A"
        for index, header in enumerate(match.headers):
            yield from _header(header, f"{where}.headers[{index}]")
            if header.name.lower() in [x.name.lower() for x in match.headers[:index]]:
                yield f"{where}.headers[{index}].name {header.name} is there twice; write it once"


def _header(header: HeaderMatch, where: str) -> Iterator[str]:
    if not header.value:
        yield f"{where}.value cannot be empty; write what the header says"
    if header.type == "RegularExpression" and not is_regex(header.value):
        yield f"{where}.value {header.value!r} is no regular expression; correct it, or type: Exact"


def _variants(spec: RolloutSpec, wish: ABTesting, at: str) -> Iterator[str]:
    """Each arm runs something of its own, for people of its own."""
    containers = (spec.template.get("spec") or {}).get("containers") or []
    known = [item.get("name") for item in containers]
    for index, variant in enumerate(wish.variants):
        for place, change in enumerate(variant.containers):
            if change.name not in known:
                where = f"{at}.variants[{index}].containers[{place}].name"
                yield (
                    f"{where} {change.name} is no container of spec.template; "
                    f"write one of {', '.join(map(str, known))}"
                )
    found = arms.of(spec, wish)
    for index, arm in enumerate(found[1:]):
        is_known = all(change.name in known for change in wish.variants[index].containers)
        for other in found[: index + 1]:
            if is_known and arm.revision == other.revision:
                yield (
                    f"{at}.variants[{index}] runs the same as variant {other.name}; "
                    "write another image, other args or env"
                )
            if set(arm.branch.matches) & set(other.branch.matches):
                yield (
                    f"{at}.variants[{index}].matches ask for the same as those of variant "
                    f"{other.name}; write another value"
                )


def _analysis(wish: ABAnalysis, at: str, count: int) -> Iterator[str]:
    yield from shared.duration(f"{at}.minDuration", wish.min_duration)
    yield from shared.duration(f"{at}.interval", wish.interval)
    if wish.planned_shares and len(wish.planned_shares) != count:
        yield (
            f"{at}.plannedShares has {len(wish.planned_shares)} shares for {count} arms; "
            "write one for each, A first"
        )
    if wish.planned_shares and sum(wish.planned_shares) != 100:
        yield (
            f"{at}.plannedShares are together {sum(wish.planned_shares)}; "
            "write the percent of requests that each arm should get, together 100"
        )
    names = [metric.name for metric in wish.metrics]
    for index, metric in enumerate(wish.metrics):
        where = f"{at}.metrics[{index}]"
        if metric.name in names[:index]:
            yield f"{where}.name {metric.name} is there twice; write it once"
        yield from _metric(metric, where)


def _metric(metric: ABMetric, where: str) -> Iterator[str]:
    if (metric.numerator is None) != (metric.denominator is None):
        yield f"{where} has one of numerator and denominator; write both, or neither"
    elif metric.numerator is None and metric.name not in BUILT_IN:
        yield (
            f"{where}.name {metric.name} is not known; write one of {', '.join(BUILT_IN)}, "
            "or numerator and denominator for a share of your own"
        )
    if metric.min_effect_size is not None and not math.isfinite(metric.min_effect_size):
        yield f"{where}.minEffectSize must be a finite number, it is {metric.min_effect_size}"
    for field, text in (("numerator", metric.numerator), ("denominator", metric.denominator)):
        for name in shares.strangers(text or ""):
            yield (
                f"{where}.{field} has {{{{ {name} }}}}, which means nothing; "
                f"write one of {', '.join(shares.KNOWN)}"
            )


def _times(wish: ABTesting, at: str) -> Iterator[str]:
    least = wish.analysis.min_duration if wish.analysis is not None else None
    if least is None or wish.max_duration is None:
        return
    try:
        late = durations.parse(least) > durations.parse(wish.max_duration)
    except ValueError:
        return  # said where the duration stands
    if late:
        yield (
            f"{at}.analysis.minDuration {least} is longer than maxDuration {wish.max_duration}; "
            "write a shorter one"
        )
