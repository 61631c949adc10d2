"""What is wrong with an experiment as the spec wishes it, beyond what single fields can say.

Called by the A/B strategy for `validation`. Sentences as in `problems`: field, value, correction.
What a hub can say of an Application too stands in `api.faults`.
"""

from collections.abc import Iterator

from fleet.api import faults
from fleet.api.rollout import ABTesting, RolloutSpec
from fleet.kulta.core.tactics import arms
from fleet.kulta.core.tactics import problems as shared


def problems(spec: RolloutSpec, wish: ABTesting, at: str) -> Iterator[str]:
    """Everything about `strategy.abTesting`, which stands at the path `at`."""
    named = {"variantAService": wish.variant_a_service, "variantBService": wish.variant_b_service}
    for index, variant in enumerate(wish.variants):
        named[f"variants[{index}].service"] = variant.service
    yield from shared.services(at, named)
    for path, sentence in faults.experiment(wish, spec.template):
        yield f"{at}.{path} {sentence}"
    yield from _variants(spec, wish, at)
    yield from shared.duration(f"{at}.maxDuration", wish.max_duration)
    if wish.analysis is not None:
        yield from shared.duration(f"{at}.analysis.minDuration", wish.analysis.min_duration)
        yield from shared.duration(f"{at}.analysis.interval", wish.analysis.interval)


def _variants(spec: RolloutSpec, wish: ABTesting, at: str) -> Iterator[str]:
    """Each arm runs something of its own, for people of its own."""
    containers = (spec.template.get("spec") or {}).get("containers") or []
    known = [item.get("name") for item in containers]
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
