"""The history of a Rollout: its revisions and how each of them ended. Pure.

What is known stands in the ReplicaSets that are kept (`revisionHistoryLimit`) and in the last
decisions of the status; nothing else remembers.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.text import Text

from fleet.api import names
from fleet.api.rollout import Decision
from fleet.cli import page
from fleet.cli.page import Cells
from fleet.cli.rollouts.family import Family, Revision
from fleet.cli.rollouts.tree import age
from fleet.cli.tables import Tone
from fleet.errors import UserError
from fleet.kit import documents, hashing, phrases

HEAD = ("REVISION", "HASH", "AGE", "IMAGE", "OUTCOME")
OWN_LABELS = (
    names.ROLLOUT_LABEL,
    names.HASH_LABEL,
    names.TYPE_LABEL,
    names.MANAGED_LABEL,
)
"""What the engine adds to the labels of a template."""
ENDS: Mapping[str, Tone] = {"Complete": Tone.GOOD, "Rollback": Tone.BAD}


def lines(family: Family, now: datetime) -> list[Text]:
    """The revisions, newest first."""
    return page.columns(HEAD, [_row(family, item, now) for item in family.revisions])


def _row(family: Family, item: Revision, now: datetime) -> Cells:
    mark = Text("* " if item.hash == family.rollout.status.stable_pod_hash else "  ")
    return (
        mark.append(str(item.number) if item.number else "-"),
        item.hash,
        age(item.created, now),
        ", ".join(item.images),
        outcome(family, item.hash),
    )


def outcome(family: Family, revision: str) -> Text:
    """How a revision ended: its last decision that was an end, in words."""
    status = family.rollout.status
    if family.is_active and revision == status.current_pod_hash:
        return page.marked(Tone.BUSY, f"on its way: {status.step or status.phase}")
    found = next(_ends(family, revision), None)
    is_stable = revision == status.stable_pod_hash
    if found is None:
        return page.marked(Tone.GOOD, "stable") if is_stable else Text("-")
    when = f" {found.timestamp:%Y-%m-%d %H:%MZ}" if found.timestamp else ""
    if found.action == "Complete":
        return page.marked(Tone.GOOD, f"stable since{when}" if is_stable else f"promoted{when}")
    return page.marked(Tone.BAD, f"taken back{when}: {_why(found)}")


def _why(decision: Decision) -> str:
    """The message without what the row says already."""
    words = decision.message.removeprefix(f"revision {decision.revision} ")
    return phrases.short(words.removeprefix("was taken back").lstrip(":, "), 70)


def _ends(family: Family, revision: str) -> Iterator[Decision]:
    known = reversed(family.rollout.status.decisions)
    return (item for item in known if item.revision == revision and item.action in ENDS)


def foreign(family: Family) -> str | None:
    """Why its template cannot be written, and what to do instead; None: it is its own."""
    ref = family.rollout.spec.workload_ref
    if ref is None:
        return None
    return f"{family.name} takes {family.source}: kubectl rollout undo deployment/{ref.name}"


def target(family: Family, word: str) -> Revision:
    """The revision to go back to: the one that `word` names, else the one before the present one.

    Raises UserError where there is none.
    """
    if word:
        found = family.find(word)
        if found is None:
            raise UserError("Refused", f"no revision {word}: fleet rollout history {family.name}")
        if found.hash == family.wanted:
            raise UserError("Refused", f"{family.source} is revision {word} already")
        return found
    status = family.rollout.status
    before = [status.stable_pod_hash, status.previous_pod_hash]
    promoted = [x.hash for x in family.revisions if _was_good(family, x.hash)]
    others = [item.hash for item in family.revisions if item.hash != status.failed_pod_hash]
    known = {item.hash: item for item in family.revisions}
    for revision in (*before, *promoted, *others):
        if revision in known and revision != family.wanted:
            return known[revision]
    raise UserError("Refused", f"{family.name} has no other revision to go back to")


def _was_good(family: Family, revision: str) -> bool:
    last = next(_ends(family, revision), None)
    return last is not None and last.action == "Complete"


def template(item: Revision) -> tuple[dict[str, object], bool]:
    """The pod template of a revision, and whether it has exactly its hash.

    Its ReplicaSet keeps the user's text; without that, what the server made of it must do.
    """
    text = (item.manifest["metadata"].get("annotations") or {}).get(names.TEMPLATE_ANNOTATION)
    kept = documents.one(text) if text else None
    if isinstance(kept, dict) and hashing.pod_hash(kept) == item.hash:
        return kept, True
    found = dict(item.manifest["spec"]["template"])
    meta = dict(found.get("metadata") or {})
    meta.pop("creationTimestamp", None)
    labels = {key: value for key, value in meta["labels"].items() if key not in OWN_LABELS}
    found["metadata"] = {**meta, "labels": labels}
    return found, hashing.pod_hash(found) == item.hash
