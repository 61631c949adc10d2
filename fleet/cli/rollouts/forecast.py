"""What the engine would do from here, told in plain words from spec and status. Pure.

Used by `fleet rollout explain`. One function per strategy tells its way; everything else is shared.
It is the way without surprises: what would change it stands beside it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet.api.analysis import Analysis, Metric
from fleet.api.rollout import Pause, Phase, RolloutSpec, Step
from fleet.api.strategy import weight_at
from fleet.api.structure import amount
from fleet.cli.rollouts import asking
from fleet.cli.rollouts.family import Family
from fleet.cli.rollouts.numbers import analysis_of, limits
from fleet.kit import durations, phrases
from fleet.kulta.core.feedback import outlook
from fleet.kulta.core.tactics import steps

NONE = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One thing that happens. `takes` is what it takes at least by the clock, None: a person."""

    text: str
    takes: timedelta | None = NONE
    when: str = ""
    """`now`, `then`, `after 10m`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """See the module."""

    title: str
    ahead: tuple[Move, ...]
    holds: tuple[str, ...] = ()
    dangers: tuple[str, ...] = ()
    total: tuple[str, ...] = ()

    @property
    def indent(self) -> int:
        return max((len(item.when) for item in self.ahead), default=0) + 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the ways are told about."""

    family: Family
    now: datetime
    new: str
    """The new revision in words."""
    old: str
    """The stable one in words; empty where there is none."""

    @property
    def spec(self) -> RolloutSpec:
        return self.family.rollout.spec

    def command(self, verb: str) -> str:
        """What to run for that request."""
        return asking.command(self.family.rollout, verb)

    @property
    def is_under_way(self) -> bool:
        """Whether the present template is on its way already."""
        status = self.family.rollout.status
        return self.family.is_active and status.current_pod_hash == self.family.wanted


def of(family: Family, now: datetime) -> Forecast:
    """The way from here. Raises UserError `InvalidSpec` for a spec that breaks rules."""
    outlook.draft_of(family.rollout, now)  # a broken spec has no future
    status = family.rollout.status
    label = family.label(status.stable_pod_hash) if status.stable_pod_hash else ""
    scene = Scene(family=family, now=now, new=family.label(family.wanted), old=label)
    return _ended(scene) or _way(scene)


def later(family: Family, now: datetime) -> Forecast:
    """The way of the revision after the present one, which has something to be compared with."""
    return _way(Scene(family=family, now=now, new="a new revision", old="the one before"))


def _way(scene: Scene) -> Forecast:
    title = _title(scene)
    scene = replace(scene, new=_brief(scene.new), old=_brief(scene.old))
    moves = tuple(_first_way(scene) if _is_first(scene) else WAYS[scene.family.strategy](scene))
    return Forecast(
        title=title,
        ahead=tuple(_timed(moves)),
        holds=tuple(_holds(scene)),
        dangers=() if _is_first(scene) else tuple(_dangers(scene)),
        total=tuple(_total(moves)),
    )


def _brief(label: str) -> str:
    """`revision 3` of `revision 3 (6f9c2d1a00)`, which the title says in full."""
    return label.partition(" (")[0]


def _title(scene: Scene) -> str:
    name, strategy = scene.family.name, scene.family.strategy
    replaces = f" in place of {scene.old}" if scene.old else ""
    begins = "goes on" if scene.is_under_way else "begins"
    pods = amount(scene.spec.replicas, "pod")
    return f"{name} {begins} with {scene.new}{replaces}: {strategy}, {pods}"


def _is_first(scene: Scene) -> bool:
    """Whether there is nothing to compare with, and no steps are asked for all the same."""
    return not (scene.old or scene.spec.steps_on_first_rollout) or not scene.spec.replicas


def _ended(scene: Scene) -> Forecast | None:
    """Nothing happens by itself: the present template is stable, or was taken back."""
    family, status = scene.family, scene.family.rollout.status
    held = outlook.waiting(family.rollout, scene.now) if status.phase is not None else None
    if family.is_active or status.phase is None:
        return None
    if status.phase is Phase.COMPLETED and status.stable_pod_hash == family.wanted:
        ahead: list[Move] = []
        if held is not None and held.until is not None:
            text = f"the pods of {family.short(status.previous_pod_hash)} stay; then they go"
            ahead.append(Move(text=text, when=f"until {phrases.clock(held.until)}"))
        ahead.append(Move(text="what somebody changes by hand is put back", when="always"))
        title = f"{family.name} is at its end: {scene.old} is stable; a new template begins anew"
        return Forecast(title=title, ahead=tuple(ahead))
    if status.phase is Phase.FAILED and status.failed_pod_hash == family.wanted:
        moves = (
            Move(text=f"traffic and pods stay at {scene.old or scene.new}", when="always"),
            Move(
                text=f"fleet rollout retry {family.name}, or a new template, begins anew",
                when="by you",
            ),
        )
        title = f"{family.name} is at its end: {scene.new} was taken back: {status.message}"
        return Forecast(title=title, ahead=moves)
    return None


def _timed(moves: tuple[Move, ...]) -> Iterator[Move]:
    """Each move with the word for its time."""
    for number, item in enumerate(moves):
        when = item.when or ("now" if number == 0 else "then")
        yield Move(text=item.text, takes=item.takes, when=when)


def _first_way(scene: Scene) -> Iterator[Move]:
    count = scene.spec.replicas
    are, they = ("is", "it is ready it gets") if count == 1 else ("are", "they are ready they get")
    yield Move(text=f"{amount(count, 'pod')} of {scene.new} {are} started")
    yield Move(text=f"when {they} all traffic, and the rollout is completed")


def _canary_way(scene: Scene) -> Iterator[Move]:
    canary, status = scene.spec.strategy.canary, scene.family.rollout.status
    assert canary is not None
    index = (status.current_step_index or 0) if scene.is_under_way else 0
    is_reached = scene.is_under_way and status.reached_step_index == index
    for number, step in enumerate(canary.way[index:], index):
        yield from _step(scene, step, number, is_reached=is_reached and number == index)
    is_whole = weight_at(canary.way, len(canary.way) - 1) == 100
    yield from _promotion(scene, canary.stable_service, is_whole=is_whole)


def _step(scene: Scene, step: Step, number: int, *, is_reached: bool) -> Iterator[Move]:
    canary, status = scene.spec.strategy.canary, scene.family.rollout.status
    assert canary is not None
    where = f"step {number + 1} of {len(canary.way)}"
    percent = weight_at(canary.way, number)
    weight = f"{percent}% of the traffic"
    if is_reached or (step.set_weight is None and step.set_canary_scale is None):
        yield Move(text=f"{where}: {scene.new} has {weight}")
    else:
        pods = steps.goal(canary, number).size(scene.spec.replicas)
        ready = "1 pod, and when it is" if pods == 1 else f"{pods} pods, and when they are"
        yield Move(text=f"{where}: {scene.new} gets {ready} ready, {weight}")
    if step.analysis is not None:
        times = step.analysis.iterations
        yield Move(text=f"it has to pass {'1 check' if times == 1 else f'{times} checks'}")
    for hook in step.hooks:
        yield Move(text=f"hook {hook} has to say yes")
    if step.pause is not None:
        began = status.pause_start_time if is_reached else None
        yield _pause(scene, step.pause, percent, began)


def _pause(scene: Scene, pause: Pause, percent: int, began: datetime | None) -> Move:
    if pause.duration is None:
        text = f"it waits at {percent}% until somebody says: {scene.command('promote')}"
        return Move(text=text, takes=None, when="by you")
    length = durations.parse(pause.duration)
    if began is not None:
        length = max(began + length - scene.now, NONE)
    text = f"it waits at {percent}%{_sooner(scene)}"
    return Move(text=text, takes=length, when=f"for {durations.format_short(length)}")


def _sooner(scene: Scene) -> str:
    """How a wait that a clock ends is ended before: a hub asks nobody for that."""
    if asking.hub_of(scene.family.rollout):
        return ""
    return f"; {scene.command('promote')} ends that at once"


def _promotion(scene: Scene, service: str, *, is_whole: bool = False) -> Iterator[Move]:
    """From the last stop to the end; `is_whole`: it has all pods and traffic already."""
    total, old = scene.spec.replicas, scene.old
    if not is_whole:
        yield Move(text=f"{scene.new} gets {total} pods, and when they are ready, all traffic")
    switched = f"Service {service} is pointed at it, and " if service else ""
    yield Move(text=f"{switched}the rollout is completed: {scene.new} is the stable revision")
    if old:
        delay = scene.spec.scale_down_delay
        stay = service and delay != "0s"
        yield Move(text=f"the pods of {old} go", when=f"after {delay}" if stay else "")


def _blue_green_way(scene: Scene) -> Iterator[Move]:
    wish, status = scene.spec.strategy.blue_green, scene.family.rollout.status
    assert wish is not None
    is_ready = scene.is_under_way and status.phase is Phase.PREVIEW
    total = scene.spec.replicas
    if not is_ready:
        yield Move(
            text=f"{total} pods of {scene.new} are started beside the old ones; "
            f"Service {wish.preview_service} leads to them"
        )
    if wish.auto_promotion_enabled:
        length = timedelta(seconds=wish.auto_promotion_seconds)
        began = status.pause_start_time if is_ready else None
        left = max(began + length - scene.now, NONE) if began else length
        text = f"the preview stands{_sooner(scene)}"
        yield Move(text=text, takes=left, when=f"for {durations.format_short(left)}")
    else:
        text = f"the preview stands until somebody says: {scene.command('promote')}"
        yield Move(text=text, takes=None, when="by you")
    yield Move(text=f"all traffic goes over at once: Service {wish.active_service} leads to it")
    if scene.old:
        delay = scene.spec.scale_down_delay
        text = f"the pods of {scene.old} go; until then {scene.command('abort')} is a way back"
        yield Move(text=text, when=f"after {delay}")


def _ab_way(scene: Scene) -> Iterator[Move]:
    wish, status = scene.spec.strategy.ab_testing, scene.family.rollout.status
    assert wish is not None
    running = status.phase is Phase.EXPERIMENTING
    arms = ["B", *(chr(ord("C") + number) for number in range(len(wish.variants)))]
    if not running and status.phase is not Phase.CONCLUDED:
        yield Move(
            text=f"{scene.spec.replicas} pods for each of {phrases.listed(arms)}; those who match "
            "their rules get them, all others A"
        )
    if status.phase is not Phase.CONCLUDED:
        metrics = [item.name for item in wish.analysis.metrics] if wish.analysis else []
        by = f"until there is a winner by {phrases.listed(metrics)}, or " if metrics else "until "
        longest = durations.parse(wish.max_duration) if wish.max_duration else None
        began = status.ab_experiment.started_at if running and status.ab_experiment else None
        left = max(began + longest - scene.now, NONE) if began and longest else longest
        end = "its time is over" if longest else scene.command("conclude-experiment")
        when = f"for {durations.format_short(left)}" if left is not None else "by you"
        yield Move(text=f"the experiment runs {by}{end}", takes=left, when=when)
    text = f"somebody promotes the winner (B where there is none): {scene.command('promote')}"
    yield Move(text=text, takes=None, when="by you")
    yield from _promotion(scene, wish.variant_a_service)


def _simple_way(scene: Scene) -> Iterator[Move]:
    bounds = outlook.draft_of(scene.family.rollout, scene.now).look.bounds
    yield Move(
        text=f"pods of {scene.new} replace the old ones: never more than {bounds.most}, never "
        f"fewer than {bounds.least} ready"
    )
    if _counting(analysis_of(scene.family)):
        yield Move(text="when all are ready it is judged by its metrics")
    yield Move(text=f"the rollout is completed: {scene.new} is the stable revision")


WAYS: Mapping[str, Callable[[Scene], Iterator[Move]]] = {
    "canary": _canary_way,
    "blueGreen": _blue_green_way,
    "abTesting": _ab_way,
    "simple": _simple_way,
}
"""Strategy → its way to the end."""


def _counting(analysis: Analysis | None) -> tuple[Metric, ...]:
    """The metrics that decide something."""
    if analysis is None or analysis.dry_run:
        return ()
    return tuple(item for item in analysis.metrics if not item.dry_run)


def _judged(analysis: Analysis) -> str:
    """`until error-rate is below 5 % in 3 checks (asked 1m later)`."""
    told = [f"{item.name} is {limits(item)}{_late(item)}" for item in _counting(analysis)]
    often = f" in {analysis.iterations} checks" if analysis.iterations > 1 else ""
    warmup = f" (asked {analysis.warmup_duration} later)" if analysis.warmup_duration else ""
    return f"until {', '.join(told)}{often}{warmup}"


def _late(metric: Metric) -> str:
    return f" (asked {metric.initial_delay} later)" if metric.initial_delay else ""


def _holds(scene: Scene) -> Iterator[str]:
    """What makes it wait: what does so now, then what may."""
    rollout = scene.family.rollout
    found = outlook.waiting(rollout, scene.now) if rollout.status.phase is not None else None
    if found is not None:
        until = f", until {phrases.clock(found.until)}" if found.until else ""
        yield f"now: {found.message}{until}"
    if scene.family.rollout.spec.replicas:
        yield "while its pods are not ready, or the gateway does not lead to them yet"
    analysis = analysis_of(scene.family)
    if analysis is None or not _counting(analysis) or _is_first(scene):
        return
    yield f"{'at each step' if scene.family.strategy == 'canary' else 'then'} {_judged(analysis)}"
    least = max((item.min_sample_size or 0 for item in analysis.metrics), default=0)
    few = f"fewer than {least} requests" if least else "no requests"
    yield f"while there were {few} to judge by"
    if analysis.failure_policy == "Pause":
        yield "while the metrics cannot be had (failurePolicy: Pause)"


def _dangers(scene: Scene) -> Iterator[str]:
    """What takes the new revision back."""
    analysis, spec = analysis_of(scene.family), scene.spec
    for item in _counting(analysis):
        times = item.failure_threshold or (None if analysis and analysis.failure_limit else 1)
        row = "at once" if times == 1 else f"{times} checks in a row"
        if times is not None:
            yield f"{item.name} is not {limits(item)}: {row}"
    if analysis is not None and analysis.failure_limit is not None:
        yield f"{analysis.failure_limit} failed checks in all"
    if analysis is not None and analysis.failure_policy == "Rollback":
        errors = analysis.consecutive_error_limit
        yield f"the metrics cannot be had {errors} times in a row (failurePolicy: Rollback)"
    if spec.progress_deadline_seconds:
        text = durations.format_short(timedelta(seconds=spec.progress_deadline_seconds))
        yield f"nothing moves for {text} outside of pauses (progressDeadlineSeconds)"
    hub = asking.hub_of(scene.family.rollout)
    by = f"the hub ({hub})" if hub else f"somebody: fleet rollout abort {scene.family.name}"
    yield by


def _total(moves: tuple[Move, ...]) -> Iterator[str]:
    """How long all of it takes at least."""
    by_clock = sum((item.takes for item in moves if item.takes is not None), NONE)
    persons = sum(item.takes is None for item in moves)
    length = durations.format_short(by_clock) if by_clock else ""
    if persons:
        times = "once" if persons == 1 else f"{persons} times"
        beside = f", and {length} of waiting by the clock" if length else ""
        yield f"It needs you {times}{beside}, beside the time that pods take."
    elif length:
        yield f"At the earliest in {length}, beside the time that pods take."
    else:
        yield "It takes as long as its pods take."
