"""A Rollout followed to some end: a live picture on a terminal, a line per change elsewhere.

Used by `watch` and by verbs with `--wait`. The clock is looked at once a second, since a pause that
counts down changes no object; the cluster is never asked again, it tells.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from rich.text import Text

from fleet import errors
from fleet.api import names
from fleet.api.rollout import Phase
from fleet.cli import codes, page
from fleet.cli.following import Following, Stay, Topic
from fleet.cli.rollouts import asking, header, tree
from fleet.cli.rollouts import family as families
from fleet.cli.rollouts.family import Family
from fleet.cli.rollouts.place import Place, selector
from fleet.cli.screen import Screen
from fleet.cli.tables import Tone
from fleet.kit import phrases
from fleet.kulta.core.feedback import outlook
from fleet.telemetry.clock import SystemClock

End = Callable[[Family], int | None]
"""The exit code once a state is an end; None: go on."""


@dataclass(slots=True, kw_only=True)
class Shown:
    """What the person sees, and has seen last."""

    screen: Screen
    wide: bool = False
    last: str = ""
    told: int = field(default=-1)
    """The last decision that was printed."""


def is_over(family: Family) -> int | None:
    """The end of `watch`: the present spec is completed, failed or refused, and nobody has asked
    for something else."""
    if outlook.is_refused(family.rollout):
        return codes.FAILED
    if asking.pending(family.rollout):
        return None
    if outlook.is_unseen(family.rollout) or family.is_active or family.phase is None:
        return None
    return codes.DONE if family.phase is Phase.COMPLETED else codes.FAILED


def follow(place: Place, name: str, shown: Shown, end: End, seconds: float | None) -> int:
    """Show the Rollout until `end` says so, or for so many seconds; the exit code.

    Raises UserError where it does not exist or is deleted meanwhile.
    """
    topics = (
        Topic(
            resource=names.ROLLOUTS,
            namespace=place.namespace,
            query={"fieldSelector": f"metadata.name={name}"},
        ),
        Topic(resource=names.REPLICASETS, namespace=place.namespace, query=selector(name)),
        Topic(resource=names.PODS, namespace=place.namespace, query=selector(name)),
    )
    stay = Stay(seconds)
    with ExitStack() as stack:
        following = stack.enter_context(Following(place.access, topics))
        live = stack.enter_context(shown.screen.live()) if shown.screen.is_live else None
        while True:
            family = _family(place, name, following)
            if live is not None:
                shown.screen.draw(live, _picture(family, shown, following.trouble))
            else:
                _print(family, shown)
            code = end(family)
            if code is not None:
                return code
            left = stay.left()
            if left <= 0:
                return codes.TIMED_OUT
            following.wait(left)


def _family(place: Place, name: str, following: Following) -> Family:
    found = following.objects(0)
    if not found:
        text = f"no Rollout {name} in namespace {place.namespace}"
        raise errors.UserError("NotFound", text)
    return families.of(found[0], following.objects(1), following.objects(2))


def _picture(family: Family, shown: Shown, trouble: str) -> list[Text]:
    now = SystemClock().now()
    lines = [
        *header.lines(family, now, shown.screen.width),
        Text(),
        *tree.lines(family, now, wide=shown.wide),
    ]
    if trouble:
        lines += [Text(), page.marked(Tone.UNKNOWN, f"what stands here may be old: {trouble}")]
    return lines


def _print(family: Family, shown: Shown) -> None:
    """A line for every decision, and for every change of what it says."""
    status, lines = family.rollout.status, []
    for item in status.decisions:
        if shown.told >= 0 and item.sequence > shown.told:
            when = phrases.clock(item.timestamp) if item.timestamp else "-"
            lines.append(f"{when}  {item.action:<11}  {item.reason}: {item.message}")
    shown.told = status.decisions[-1].sequence if status.decisions else 0
    text = summary(family)
    if text != shown.last:
        lines.append(f"{phrases.clock(SystemClock().now())}  {text}")
        shown.last = text
    shown.screen.show([Text(line) for line in lines])


def summary(family: Family) -> str:
    """Where it stands, on one line without anything that a clock changes."""
    status = family.rollout.status
    found = outlook.waiting(family.rollout, SystemClock().now())
    has_weight = status.current_weight is not None and family.is_active
    parts = [
        tree.standing(family)[1],
        f"step {status.step}" if status.step and family.is_active else "",
        f"{families.in_force(family.rollout)}%" if has_weight else "",
        f"{family.ready} ready",
        found.message if found is not None else status.message,
    ]
    return "  ".join(part for part in parts if part)
