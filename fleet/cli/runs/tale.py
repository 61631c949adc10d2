"""What-ifs as people write them, and the story of a simulated run as they read it. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.text import Text

from fleet.cli import page, tables
from fleet.cli.runs import asking, picture
from fleet.cli.runs import view as views
from fleet.cli.runs.planned import Estimate
from fleet.cli.runs.simulation import Loss, Script, Tale
from fleet.cli.runs.view import View
from fleet.cli.tables import Tone
from fleet.errors import UserError
from fleet.hub.core.observed import Member
from fleet.hub.core.run import story
from fleet.kit import durations, phrases

_LOSS = re.compile(r"(?P<who>[^@]+)(@(?=.)(?P<begin>[0-9]+[smhd])?(-(?P<end>[0-9]+[smhd]))?)?")
TONES: Mapping[str, Tone] = {
    "Started": Tone.BUSY,
    "Done": Tone.GOOD,
    "Lost": Tone.UNKNOWN,
    "Found": Tone.GOOD,
    "Succeeded": Tone.GOOD,
}
"""Marks of happenings; what the hub would warn of is bad, everything else has none."""
COUNTED = 8
"""Clusters that begin, or are done, at one moment and are told one by one."""


def chosen(words: Sequence[str], option: str, members: Mapping[str, Member]) -> frozenset[str]:
    """Members by name, or by label as `region=ap`. Raises UserError where there is none."""
    found: set[str] = set()
    for word in (part for text in words for part in text.split(",") if part):
        key, equals, value = word.partition("=")
        names = (
            [name for name, one in members.items() if one.labels.get(key) == value]
            if equals
            else [name for name in members if name == word]
        )
        if not names:
            known = phrases.listed(sorted(members))
            text = f"{option} {word}: no member has that; name one of {known}, or write label=value"
            raise UserError("Usage", text)
        found.update(names)
    return frozenset(found)


def losses(words: Sequence[str], members: Mapping[str, Member]) -> list[Loss]:
    """`region=ap`, `eu-7@10m`, `eu-7@10m-2h`: who, from when, till when after the beginning."""
    result = []
    for word in words:
        found = _LOSS.fullmatch(word)
        if found is None:
            text = f"--lose {word}: write NAME or label=value, @10m for later, @10m-2h for a while"
            raise UserError("Usage", text)
        begin, end = _seconds(found["begin"], word), _seconds(found["end"], word)
        if end is not None and end <= (begin or 0.0):
            raise UserError("Usage", f"--lose {word}: it would end before it begins")
        who = chosen([found["who"]], "--lose", members)
        result.append(Loss(names=who, begin=begin or 0.0, end=end))
    return result


def _seconds(text: str | None, word: str) -> float | None:
    if text is None:
        return None
    try:
        return float(durations.seconds(text))
    except ValueError as error:
        raise UserError("Usage", f"--lose {word}: {error}") from None


def lines(tale: Tale, script: Script, guess: Estimate, width: int | None) -> list[Text]:
    """Head, what happens, and how it stands in the end."""
    run = tale.run
    result = [page.text((run.name, page.STRONG), f"  revision {run.spec.revision}  simulated")]
    each = f"{tables.length(script.habits.each)} for each cluster, {guess.source}"
    result += page.labelled("Takes", each, width)
    for what in _what_if(script):
        result += page.labelled("What if", what, width)
    result += [Text(), *_happenings(tale, width), Text()]
    result += _end(tale, width)
    view = View(run=run, items=tale.items)
    now = tale.now
    result += [Text(), *picture.waves(view, now), *picture.clusters(view)]
    return result


def _what_if(script: Script) -> list[str]:
    failing = sorted(script.habits.failing)
    verb = "fails its" if len(failing) == 1 else "fail their"
    found = [f"{phrases.listed(failing)} {verb} analysis"] if failing else []
    for loss in script.losses:
        who = phrases.listed(sorted(loss.names))
        begin = f"after {tables.length(loss.begin)}" if loss.begin else "from the beginning"
        end = f", until {tables.length(loss.end)}" if loss.end is not None else ""
        found.append(f"no answer of {who} {begin}{end}")
    return found


def _happenings(tale: Tale, width: int | None) -> list[Text]:
    shown = tale.happenings
    indent = 9 + max((len(item.reason) for item in shown), default=0) + 4
    result: list[Text] = []
    last: timedelta | None = None
    for item in _gathered(tale):
        when = "" if item[0] == last else durations.format_short(item[0])
        last = item[0]
        tone = TONES.get(item[1], Tone.BAD if story.is_bad(item[1]) else Tone.PLAIN)
        label = f"{when:>7}  {tone.mark or ' '} {item[1]}"
        said = Text(item[2], style=tone.style if tone is Tone.BAD else "")
        result += page.labelled(label, said, width, indent=indent)
    return result


def _gathered(tale: Tale) -> list[tuple[timedelta, str, str]]:
    """Many that begin or end at one moment are one line."""
    result: list[tuple[timedelta, str, list[str]]] = []
    for item in tale.happenings:
        same = result and result[-1][:2] == (item.after, item.reason)
        if same and item.reason in ("Started", "Done", "Lost", "Found"):
            result[-1][2].append(item.message)
        else:
            result.append((item.after, item.reason, [item.message]))
    told = []
    for after, reason, messages in result:
        heads = [message.partition(" ") for message in messages]
        verbs = {rest for _, _, rest in heads}
        if len(messages) > 1 and len(verbs) == 1:
            names = phrases.listed([name for name, _, _ in heads], COUNTED)
            told.append((after, reason, f"{names} {_plural(verbs.pop())}"))
        else:
            told += [(after, reason, message) for message in messages]
    return told


def _plural(words: str) -> str:
    """`is done` of many: `are done`."""
    verb, _, rest = words.partition(" ")
    many = {"is": "are", "does": "do", "goes": "go"}.get(verb, verb.removesuffix("s"))
    return f"{many} {rest}".rstrip()


def _end(tale: Tale, width: int | None) -> list[Text]:
    status = tale.run.status
    phase = status.phase
    what = "ends" if tale.is_over else "stands still"
    words = page.marked(views.RUN[phase], f"{phase or 'Unseen'}")
    said = asking.spoken(status.message, tale.run.name)
    words.append(f" {what} after {durations.format_short(tale.length)}: {said}", style="")
    return page.labelled("In the end", words, width, indent=12)


def document(tale: Tale) -> dict[str, object]:
    """The same for programs."""
    counts = tale.run.status.counts
    return {
        "run": tale.run.name,
        "revision": tale.run.spec.revision,
        "phase": str(tale.run.status.phase),
        "message": tale.run.status.message,
        "seconds": tale.length.total_seconds(),
        "started": list(tale.started),
        "counts": counts.manifest(),
        "happenings": [
            {
                "after": item.after.total_seconds(),
                "reason": item.reason,
                "message": item.message,
            }
            for item in tale.happenings
        ],
    }
