"""The tree of `fleet rollout get`: Rollout → revisions → pods, as lines. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.text import Text

from fleet.api.rollout import Phase
from fleet.cli import page, tables
from fleet.cli.page import Cells
from fleet.cli.rollouts.family import Family, Pod, Revision
from fleet.cli.tables import Tone
from fleet.kulta.core.feedback import outlook

HEAD = ("NAME", "STATUS", "READY", "AGE", "INFO")
WIDE = ("NODE", "ADDRESS")
PHASES: Mapping[Phase | None, Tone] = {
    None: Tone.UNKNOWN,
    Phase.INITIALIZING: Tone.BUSY,
    Phase.PROGRESSING: Tone.BUSY,
    Phase.EXPERIMENTING: Tone.BUSY,
    Phase.PAUSED: Tone.WAITING,
    Phase.PREVIEW: Tone.WAITING,
    Phase.CONCLUDED: Tone.WAITING,
    Phase.COMPLETED: Tone.GOOD,
    Phase.FAILED: Tone.BAD,
}
ENDED = frozenset({"Succeeded", "Completed", "Terminating"})


def lines(family: Family, now: datetime, *, wide: bool = False) -> list[Text]:
    """The tree; `wide` shows empty revisions, nodes and addresses too."""
    shown = [item for item in family.revisions if wide or item.is_shown]
    hidden = len(family.revisions) - len(shown)
    rows = [_rollout(family, now, wide)]
    for index, item in enumerate(shown):
        is_last = index == len(shown) - 1
        rows.append(_revision(item, now, "└─ " if is_last else "├─ ", wide))
        rows.extend(_pods(item, now, "   " if is_last else "│  ", wide))
    result = page.columns((*HEAD, *WIDE) if wide else HEAD, rows, tables.NARROW)
    if hidden:
        count = "1 more revision" if hidden == 1 else f"{hidden} more revisions"
        words = f"{count} without pods: fleet rollout history {family.name}"
        result.append(Text(words, style=page.FAINT))
    return result


def standing(family: Family) -> tuple[Tone, str]:
    """The phase in a word; where there is none yet, why."""
    if family.phase is None and outlook.stalled(family.rollout) is not None:
        return Tone.BAD, "Stalled"
    return PHASES[family.phase], family.phase or "Unseen"


def _rollout(family: Family, now: datetime, wide: bool) -> Cells:
    meta = family.rollout.metadata
    row = (
        Text(family.name, style=page.STRONG),
        page.marked(*standing(family)),
        family.ready,
        age(meta.creation_timestamp, now),
        family.strategy,
    )
    return (*row, "", "") if wide else row


def _revision(item: Revision, now: datetime, branch: str, wide: bool) -> Cells:
    name = f"{item.number} · {item.hash}" if item.number else item.hash
    images = ", ".join(item.images if wide else item.images[:1])
    row = (
        page.text((branch, page.FAINT), ("revision ", page.FAINT), name),
        _role(item),
        _share(item.ready, item.desired),
        age(item.created, now),
        images,
    )
    return (*row, "", "") if wide else row


def _role(item: Revision) -> Text:
    """`canary 20%`: what it is, and its share of the traffic."""
    style = {"stable": "green", "active": "green", "failed": "red"}.get(item.role, "cyan")
    share = "" if item.weight is None else f" {item.weight}%"
    style = "dim" if item.role in ("old", "retired") else style
    return page.text((item.role, style), (share, page.STRONG))


def _pods(revision: Revision, now: datetime, indent: str, wide: bool) -> Iterator[Cells]:
    for index, item in enumerate(revision.pods):
        branch = indent + ("└─ " if index == len(revision.pods) - 1 else "├─ ")
        row = (
            page.text((branch, page.FAINT), item.name),
            page.marked(_tone(item), item.status),
            item.ready,
            age(item.created, now),
            _told(item),
        )
        yield (*row, item.node, item.address) if wide else row


def _tone(item: Pod) -> Tone:
    if item.is_ready:
        return Tone.GOOD
    if item.status in ENDED:
        return Tone.OPEN
    return Tone.BUSY if item.status in ("Running", "Pending", "ContainerCreating") else Tone.BAD


def _told(item: Pod) -> Text:
    said = [f"{item.restarts} restart{'s' * (item.restarts > 1)}"] if item.restarts else []
    said += ["to be replaced"] if item.leaving else []
    return Text(", ".join(said), style="yellow")


def _share(ready: int, desired: int) -> Text:
    return Text(f"{ready}/{desired}", style="" if ready >= desired else "yellow")


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago that was, in its largest unit."""
    return tables.span(moment.isoformat(), now) if moment else ""
