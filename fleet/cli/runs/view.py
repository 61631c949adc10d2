"""A run with its Application and its clusters as a person wants to see them: frozen, no client.

Made by `show` and `watching` from the objects of a hub; read by everything here that draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.api.application import Application
from fleet.api.clusterrollout import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase, FleetRollout, RunPhase, WavePhase
from fleet.cli.tables import Tone

RUN: Mapping[RunPhase | None, Tone] = {
    None: Tone.UNKNOWN,
    RunPhase.PLANNED: Tone.OPEN,
    RunPhase.PROGRESSING: Tone.BUSY,
    RunPhase.SOAKING: Tone.BUSY,
    RunPhase.ROLLING_BACK: Tone.BUSY,
    RunPhase.AWAITING_APPROVAL: Tone.WAITING,
    RunPhase.OUTSIDE_WINDOW: Tone.WAITING,
    RunPhase.PAUSED: Tone.WAITING,
    RunPhase.HALTED: Tone.BAD,
    RunPhase.SUCCEEDED: Tone.GOOD,
    RunPhase.SUCCEEDED_WITH_FAILURES: Tone.BAD,
    RunPhase.ROLLED_BACK: Tone.BAD,
    RunPhase.SUPERSEDED: Tone.OPEN,
    RunPhase.ABORTED: Tone.BAD,
}
CLUSTER: Mapping[ClusterPhase, Tone] = {
    ClusterPhase.PENDING: Tone.OPEN,
    ClusterPhase.DEFERRED: Tone.WAITING,
    ClusterPhase.APPLYING: Tone.BUSY,
    ClusterPhase.PROGRESSING: Tone.BUSY,
    ClusterPhase.ANALYZING: Tone.BUSY,
    ClusterPhase.PAUSED: Tone.WAITING,
    ClusterPhase.SUCCEEDED: Tone.GOOD,
    ClusterPhase.FAILED: Tone.BAD,
    ClusterPhase.TIMED_OUT: Tone.BAD,
    ClusterPhase.CONFLICT: Tone.BAD,
    ClusterPhase.UNREACHABLE: Tone.UNKNOWN,
    ClusterPhase.SKIPPED: Tone.OPEN,
    ClusterPhase.ROLLING_BACK: Tone.BUSY,
    ClusterPhase.ROLLED_BACK: Tone.OPEN,
}
WAVE: Mapping[WavePhase, Tone] = {
    WavePhase.PENDING: Tone.OPEN,
    WavePhase.PROGRESSING: Tone.BUSY,
    WavePhase.SOAKING: Tone.BUSY,
    WavePhase.WAITING: Tone.WAITING,
    WavePhase.DONE: Tone.GOOD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """See the module."""

    run: FleetRollout
    application: Application | None = None
    """None where nobody has asked for it."""
    items: Mapping[str, ClusterRollout]
    """By cluster; those that may not be seen are not here."""
    is_newest: bool = True

    @property
    def images(self) -> str:
        """The images that the run delivers."""
        pods = self.run.spec.application.spec.workload.template.get("spec", {})
        return ", ".join(str(item.get("image", "")) for item in pods.get("containers", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One cluster of the run."""

    name: str
    wave: str
    phase: ClusterPhase
    step: str
    weight: int | None
    """Percent of its traffic on the run's revision; None where nobody has said so."""
    message: str


def lines(view: View, *, everybody: bool = False) -> list[Line]:
    """The clusters that are not done, failed first, as the run lists them; then those that are done
    where `everybody` is asked for."""
    listed = [
        _line(view, row.name, row.wave, row.phase, row.step, row.message)
        for row in view.run.status.clusters
    ]
    if not everybody:
        return listed
    known = {line.name for line in listed}
    rest = [
        _line(view, name, wave, view.items[name].status.phase, "", "")
        for name, wave in places(view.run).items()
        if name not in known and name in view.items
    ]
    return [*listed, *rest]


def _line(view: View, name: str, wave: str, phase: ClusterPhase, step: str, message: str) -> Line:
    item = view.items.get(name)
    mine = item is not None and item.spec.want is not None and item.spec.want.run == view.run.name
    engine = item.status.engine if item is not None and mine else None
    is_told = engine is not None and engine.revision == view.run.spec.revision
    return Line(
        name=name,
        wave=wave,
        phase=phase,
        step=step,
        weight=engine.weight if engine is not None and is_told else None,
        # The run's own row is cut at 160 characters.
        message=item.status.message
        if item and mine and item.status.message and message
        else message,
    )


def places(run: FleetRollout) -> dict[str, str]:
    """Cluster → its wave, in the order of the plan; who joined comes last."""
    known = {name: wave.name for wave in run.spec.plan.waves for name in wave.clusters}
    return known | {item.name: item.wave for item in run.status.appended}
