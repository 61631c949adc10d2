"""What is wrong with an experiment: who gets which arm, what each runs, what is compared."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

from fleet.api.experiment import (
    BUILT_IN,
    LETTERS,
    PLACEHOLDERS,
    ABAnalysis,
    ABMetric,
    HeaderMatch,
    Match,
    VariantMatch,
    VariantWish,
    is_regex,
)
from fleet.api.faults.values import Fault, duration
from fleet.kit import durations, hashing, placeholders


class Experiment(Protocol):
    """What an Application and a Rollout both say of an experiment."""

    @property
    def variant_b_match(self) -> VariantMatch | None: ...
    @property
    def matches(self) -> Sequence[Match]: ...
    @property
    def variants(self) -> Sequence[VariantWish]: ...
    @property
    def max_duration(self) -> str | None: ...
    @property
    def analysis(self) -> ABAnalysis | None: ...


def experiment(wish: Experiment, template: Mapping[str, Any]) -> Iterator[Fault]:
    """Everything about an experiment with pods of that template."""
    yield from _matches(wish)
    if wish.variants and _is_readable(template):
        yield from _containers(wish, template)
        yield from _arms(wish, template)
    yield from duration("maxDuration", wish.max_duration)
    if wish.analysis is not None:
        yield from duration("analysis.minDuration", wish.analysis.min_duration)
        yield from duration("analysis.interval", wish.analysis.interval)
        yield from _analysis(wish.analysis, 2 + len(wish.variants))
        yield from _times(wish.analysis.min_duration, wish.max_duration)


def _matches(wish: Experiment) -> Iterator[Fault]:
    known = wish.variant_b_match
    is_bare = known is not None and known.header is None and known.cookie is None
    if is_bare or (known is None and not wish.matches):
        yield (
            "variantBMatch",
            "needs a header or a cookie, for example "
            "{cookie: {name: variant, value: b}}; without one nobody would ever get B",
        )
    if known is not None and known.header is not None:
        yield from _header(known.header, "variantBMatch.header")
    places = [(f"matches[{index}]", item) for index, item in enumerate(wish.matches)]
    for number, variant in enumerate(wish.variants):
        own = f"variants[{number}].matches"
        places += [(f"{own}[{index}]", item) for index, item in enumerate(variant.matches)]
    for where, match in places:
        if not match.headers and match.cookie is None:
            yield where, "needs headers or a cookie; a match of everything leaves nobody for A"
        for index, header in enumerate(match.headers):
            yield from _header(header, f"{where}.headers[{index}]")
            if header.name.lower() in [x.name.lower() for x in match.headers[:index]]:
                again = f"{header.name} is there twice; write it once"
                yield f"{where}.headers[{index}].name", again


def _header(header: HeaderMatch, where: str) -> Iterator[Fault]:
    if not header.value:
        yield f"{where}.value", "cannot be empty; write what the header says"
    if header.type == "RegularExpression" and not is_regex(header.value):
        text = f"{header.value!r} is no regular expression; correct it, or type: Exact"
        yield f"{where}.value", text


def _is_readable(template: Mapping[str, Any]) -> bool:
    """Whether containers are where they belong: overrides write past every schema, and what they
    make of a template is for the API server of a member to refuse."""
    spec = template.get("spec") or {}
    containers = (spec.get("containers") or []) if isinstance(spec, dict) else None
    return _is_named(containers) and all(_is_named(item.get("env") or []) for item in containers)


def _is_named(items: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(items, list) and all(
        isinstance(item, dict) and isinstance(item.get("name", ""), str) for item in items
    )


def _containers(wish: Experiment, template: Mapping[str, Any]) -> Iterator[Fault]:
    if not template:
        return  # it comes from elsewhere
    containers = (template.get("spec") or {}).get("containers") or []
    known = [item.get("name") for item in containers]
    for index, variant in enumerate(wish.variants):
        for place, change in enumerate(variant.containers):
            if change.name not in known:
                yield (
                    f"variants[{index}].containers[{place}].name",
                    f"{change.name} is no container of the template; "
                    f"write one of {', '.join(map(str, known))}",
                )


def _arms(wish: Experiment, template: Mapping[str, Any]) -> Iterator[Fault]:
    """Each runs something of its own, for people of its own; B runs the template."""
    revisions, asked = [hashing.pod_hash(template)], [_asked(wish)]
    known = {item.get("name") for item in (template.get("spec") or {}).get("containers") or []}
    for index, variant in enumerate(wish.variants):
        is_known = all(change.name in known for change in variant.containers)
        revision = hashing.pod_hash(variant.applied(template))
        for letter, other, matches in zip(LETTERS[1:], revisions, asked, strict=False):
            if is_known and other == revision:
                text = f"runs the same as variant {letter}; write another image, other args or env"
                yield f"variants[{index}]", text
            if any(match in matches for match in variant.matches):
                text = f"ask for the same as those of variant {letter}; write another value"
                yield f"variants[{index}].matches", text
        revisions.append(revision)
        asked.append(variant.matches)


def _asked(wish: Experiment) -> Sequence[Match]:
    """Who gets B."""
    known = wish.variant_b_match
    header = known.header if known is not None else None
    cookie = known.cookie if known is not None else None
    own = [Match(headers=(header,))] if header is not None else []
    own += [Match(cookie=cookie)] if cookie is not None else []
    return (*own, *wish.matches)


def _analysis(wish: ABAnalysis, count: int) -> Iterator[Fault]:
    where, planned = "analysis.plannedShares", wish.planned_shares
    if planned and len(planned) != count:
        yield where, f"has {len(planned)} shares for {count} arms; write one for each, A first"
    if planned and sum(planned) != 100:
        yield (
            where,
            f"are together {sum(planned)}; "
            "write the percent of requests that each arm should get, together 100",
        )
    names = [metric.name for metric in wish.metrics]
    for index, metric in enumerate(wish.metrics):
        at = f"analysis.metrics[{index}]"
        if metric.name in names[:index]:
            yield f"{at}.name", f"{metric.name} is there twice; write it once"
        yield from _metric(metric, at)


def _metric(metric: ABMetric, where: str) -> Iterator[Fault]:
    if (metric.numerator is None) != (metric.denominator is None):
        yield where, "has one of numerator and denominator; write both, or neither"
    elif metric.numerator is None and metric.name not in BUILT_IN:
        yield (
            f"{where}.name",
            f"{metric.name} is not known; write one of {', '.join(BUILT_IN)}, "
            "or numerator and denominator for a share of your own",
        )
    if metric.min_effect_size is not None and not math.isfinite(metric.min_effect_size):
        size = f"must be a finite number, it is {metric.min_effect_size}"
        yield f"{where}.minEffectSize", size
    for field, text in (("numerator", metric.numerator), ("denominator", metric.denominator)):
        for name in placeholders.names(text or ""):
            if name not in PLACEHOLDERS:
                yield (
                    f"{where}.{field}",
                    f"has {{{{ {name} }}}}, which means nothing; "
                    f"write one of {', '.join(PLACEHOLDERS)}",
                )


def _times(least: str | None, most: str | None) -> Iterator[Fault]:
    if least is None or most is None:
        return
    try:
        late = durations.parse(least) > durations.parse(most)
    except ValueError:
        return  # said where the duration stands
    if late:
        text = f"{least} is longer than maxDuration {most}; write a shorter one"
        yield "analysis.minDuration", text
