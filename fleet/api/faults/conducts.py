"""What is wrong with how an engine shall go about it, whatever the strategy."""

from collections.abc import Iterator

from fleet.api.advisor import ASKED, NEEDS_ENDPOINT
from fleet.api.conduct import Conduct, in_force
from fleet.api.faults.values import Fault, amount, duration
from fleet.api.strategy import CanaryWay


def conduct(wish: Conduct, canary: CanaryWay | None, at: str = "") -> Iterator[Fault]:
    """Everything about a Conduct and the amounts of the canary beside it. Paths begin where the
    strategy stands; `at` is the Conduct's own from there: `rollout.`, or empty."""
    yield from amount(f"{at}maxSurge", wish.max_surge)
    yield from amount(f"{at}maxUnavailable", wish.max_unavailable)
    if canary is not None:
        yield from amount("strategy.canary.maxSurge", canary.max_surge)
        yield from amount("strategy.canary.maxUnavailable", canary.max_unavailable)
    surge, missing = in_force(wish, canary, at).items()
    if all(str(value).rstrip("%").strip("0") == "" for _, value in (surge, missing)):
        yield (
            surge[0],
            f"is 0, and {missing[0]} too, so no pod could ever be replaced; "
            "write at least 1 for one of them",
        )
    yield from duration(f"{at}scaleDownDelay", wish.scale_down_delay, allow_zero=True)
    if wish.advisor.level in ASKED and not wish.advisor.endpoint:
        yield f"{at}advisor.endpoint", NEEDS_ENDPOINT
