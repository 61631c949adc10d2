"""What each cluster would get against what it was sent last: manifests, side by side. Pure.

Both sides are rendered as the hub renders them, the old one from the run that was dispatched there,
with the revision of the new one: a changed digest alone is no difference that anybody looks for.
Clusters whose lines differ in the same way are one group.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

import yaml
from rich.text import Text

from fleet.api import ClusterRollout
from fleet.api.fleetrollout import FleetRollout, Snapshot
from fleet.api.meta import Manifest
from fleet.api.names import APPLIED_ANNOTATION, CLUSTER_LABEL, ClusterName
from fleet.cli import page
from fleet.cli.runs.inputs import Due, Inputs
from fleet.errors import UserError
from fleet.hub.core import weights
from fleet.kit import phrases
from fleet.rendering.delivery import Delivery
from fleet.rendering.render import Rendered

AROUND = 3
SHOWN = 8
STYLES = {"+": "green", "-": "red", "@": "cyan"}

Draw = Callable[[Delivery], tuple[Rendered, ...]]
"""The objects that a member gets."""

Manifests = dict[str, str]
"""`Rollout checkout/checkout` → its YAML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Clusters to which the same happens."""

    clusters: tuple[str, ...]
    before: str
    """What is there, in words."""
    lines: tuple[str, ...]
    """A unified diff; empty where nothing changes."""


def groups(inputs: Inputs, due: Due, draw: Draw) -> list[Group]:
    """All clusters of the run, those of the first wave first. Raises UserError as rendering does,
    for the new side."""
    found: dict[tuple[str, ...], tuple[list[str], str, tuple[str, ...]]] = {}
    for name in (name for wave in due.plan.waves for name in wave.clusters):
        before, words = _before(inputs, due, draw, name)
        after = _after(inputs, due, draw, name)
        lines = tuple(_compared(before, after))
        own = f"{CLUSTER_LABEL}: {name}"  # the one line that is never the same
        key = (words, *(line.replace(own, "") for line in lines if line[:1] in "+-"))
        found.setdefault(key, ([], words, lines))[0].append(name)
    return [
        Group(clusters=tuple(clusters), before=words, lines=lines)
        for clusters, words, lines in found.values()
    ]


def _after(inputs: Inputs, due: Due, draw: Draw, name: str) -> Manifests:
    snapshot = Snapshot(
        name=inputs.application.name,
        spec=due.proposal.spec,
        templates=dict(due.proposal.templates),
    )
    return _rendered(inputs, due, draw, name, snapshot)


def _before(inputs: Inputs, due: Due, draw: Draw, name: str) -> tuple[Manifests, str]:
    """What was sent there last, and how a person would call it."""
    item = next((one for one in inputs.observed.clusters if one.spec.cluster == name), None)
    sent = item.status.dispatch.run if item is not None else ""
    if not sent:
        return {}, "nothing"
    run = _run(inputs, sent)
    if run is None:
        return {}, f"something of {sent}, which is not kept"
    try:
        found = _rendered(inputs, due, draw, name, run.spec.application, _weight(item))
    except UserError as error:
        return {}, f"{sent}, which cannot be rendered any more ({error})"
    return found, sent


def _weight(item: ClusterRollout | None) -> int | None:
    """The live weight that it has by now, whatever the run began with."""
    return item.status.dispatch.weight if item is not None else None


def _run(inputs: Inputs, name: str) -> FleetRollout | None:
    return next((run for run in inputs.observed.runs if run.name == name), None)


def _rendered(
    inputs: Inputs,
    due: Due,
    draw: Draw,
    name: str,
    snapshot: Snapshot,
    weight: int | None = None,
) -> Manifests:
    observed = inputs.observed
    assert observed.fleet is not None
    delivery = Delivery(
        application=snapshot,
        namespace=inputs.application.namespace,
        cluster=observed.members[ClusterName(name)].cluster,
        fleet=observed.fleet,
        revision=due.proposal.revision,
    )
    return {
        f"{item.resource.kind} {item.namespace}/{item.name}": yaml.safe_dump(
            _plain(item.manifest, weight), sort_keys=False
        )
        for item in draw(delivery)
    }


def _plain(manifest: Manifest, weight: int | None) -> dict[str, Any]:
    """Without the digest of what follows, which differs wherever anything does; a Rollout with the
    live weight that was sent."""
    meta = manifest["metadata"]
    notes = {key: text for key, text in meta["annotations"].items() if key != APPLIED_ANNOTATION}
    kept = {key: value for key, value in meta.items() if key != "annotations"}
    metadata = {**kept, **({"annotations": notes} if notes else {})}
    return {**manifest, "metadata": metadata, "spec": weights.put(manifest["spec"], weight)}


def _compared(before: Manifests, after: Manifests) -> Iterator[str]:
    """One unified diff after the other, in the order of the new side; what goes comes last."""
    for what in [*after, *(what for what in before if what not in after)]:
        old, new = before.get(what, ""), after.get(what, "")
        yield from unified_diff(
            old.splitlines(),
            new.splitlines(),
            what if old else "nothing",
            what if new else "nothing",
            lineterm="",
            n=AROUND,
        )


def lines(found: Sequence[Group]) -> list[Text]:
    """Each group under its head."""
    result: list[Text] = []
    for group in found:
        who = phrases.listed(group.clusters, SHOWN)
        said = "nothing changes" if not group.lines else f"against {group.before}"
        result += [Text()] if result else []
        result.append(page.text((f"{who}: {said}", page.STRONG)))
        result += [Text(line, style=STYLES.get(line[:1], "")) for line in group.lines]
    return result


def has_any(found: Sequence[Group]) -> bool:
    """Whether anything would change anywhere."""
    return any(group.lines for group in found)
