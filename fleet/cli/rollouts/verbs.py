"""`fleet rollout promote`, `abort` and the like: ask the engine for something, and perhaps wait.

A verb writes an annotation, guarded by the version that was judged: what has moved meanwhile is
judged again, so that nobody promotes a step that he has not seen.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet import errors
from fleet.api import names
from fleet.cli import codes, options
from fleet.cli.rollouts import asking, place, watching
from fleet.cli.rollouts.family import Family
from fleet.cli.rollouts.place import Place
from fleet.cli.screen import Screen
from fleet.kulta.core.feedback import outlook
from fleet.telemetry.clock import SystemClock

ATTEMPTS, PAUSE = 20, 0.25
FOR_PERSONS = frozenset(
    {
        "AdvisorPause",
        "AnalysisUndecided",
        "AwaitingPromotion",
        "Held",
        "InvalidSpec",
        "PauseRequested",
        "UserPaused",
    }
)
"""Waits that only a person ends; a step's pause without an end is one too."""


def ask(found: Place, name: str, verb: str) -> Family:
    """Write the annotation of `verb`; the state that was judged.

    Raises UserError `Refused` where it could not act, with what to do instead.
    """
    for _ in range(ATTEMPTS):
        family = found.family(name)
        refused = asking.managed(family.rollout, verb) or asking.refusal(family, verb)
        if refused is not None:
            raise errors.UserError("Refused", f"{name}: {refused}")
        note = names.request_annotation(verb)
        if note not in family.rollout.metadata.annotations:
            try:
                _write(found, family, note)
            except errors.Conflict:
                continue  # it has moved: judge again
            return family
        if verb not in family.rollout.status.handled:
            return family  # somebody has asked for the same; the engine will act once
        time.sleep(PAUSE)  # the engine is taking the last one away
    raise errors.UserError("Refused", f"{name}: it moves too fast to be asked; try again")


def _write(found: Place, family: Family, note: str) -> None:
    meta: dict[str, Any] = {
        "annotations": {note: "true"},
        "resourceVersion": family.rollout.metadata.resource_version,
    }
    path = names.ROLLOUTS.path(found.namespace, family.name)
    found.access.patch(path, {"metadata": meta})


def at_rest(verb: str) -> watching.End:
    """The end of `--wait`: taken by the engine, and then nothing more without a person."""
    note = names.request_annotation(verb)

    def end(family: Family) -> int | None:
        if note in family.rollout.metadata.annotations or verb in family.rollout.status.handled:
            return None
        if verb == "restart":
            is_on_it = any(pod.leaving for x in family.revisions for pod in x.pods)
            return None if is_on_it else codes.DONE
        over = watching.is_over(family)
        if over is not None:
            return codes.DONE if verb == "abort" else over
        found = outlook.waiting(family.rollout, SystemClock().now())
        is_endless = found is not None and found.reason == "StepPaused" and found.until is None
        stands = found is not None and (found.reason in FOR_PERSONS or is_endless)
        return codes.DONE if stands else None

    return end


def run(name: str, verb: str, options_: "Asked") -> None:
    """One verb from the options to the exit code."""
    seconds, name = options.span(options_.timeout), place.plain(name)
    with place.reached(options_.kubeconfig, options_.context, options_.namespace) as found:
        family = ask(found, name, verb)
        typer.echo(f"{name}: {SAID[verb].format(revision=family.label(_about(family, verb)))}")
        if not options_.wait:
            return
        known = family.rollout.status.decisions
        told = known[-1].sequence if known else 0
        shown = watching.Shown(screen=Screen(plain=options_.no_color), told=told)
        code = watching.follow(found, name, shown, at_rest(verb), seconds)
    raise typer.Exit(code)


def _about(family: Family, verb: str) -> str:
    status = family.rollout.status
    if verb == "abort":
        returned = status.previous_pod_hash if not family.is_active else ""
        return returned or status.stable_pod_hash
    return status.stable_pod_hash if verb == "restart" else status.current_pod_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options that all verbs share."""

    wait: bool
    timeout: str
    no_color: bool
    namespace: str
    context: str
    kubeconfig: Path | None


SAID: Mapping[str, str] = {
    "promote": "asked to go on with {revision}",
    "promote-full": "asked to take {revision} to 100% at once, without further checks",
    "abort": "asked to go back to {revision}",
    "retry": "asked to try {revision} again from its first step",
    "pause": "asked to pause {revision}; analysis and rollback go on",
    "resume": "asked to go on with {revision}",
    "restart": "asked to replace the pods of {revision}, as many at a time as maxSurge allows",
    "conclude-experiment": "asked to conclude the experiment with {revision}",
}


def promote(
    name: place.Name,
    full: Annotated[
        bool, typer.Option("--full", help="Leave out all further steps, pauses and checks.")
    ] = False,
    wait: options.Wait = False,
    timeout: options.TimeOut = "",
    no_color: options.NoColor = False,
    namespace: options.Place = "",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """End the pause of a step or a preview, or promote what an experiment has chosen."""
    shared = Asked(
        wait=wait,
        timeout=timeout,
        no_color=no_color,
        namespace=namespace,
        context=context,
        kubeconfig=kubeconfig,
    )
    run(name, "promote-full" if full else "promote", shared)


def _command(word: str, verb: str, sentence: str) -> Callable[..., None]:
    """The command `word` that asks for `verb`."""

    def command(
        name: place.Name,
        wait: options.Wait = False,
        timeout: options.TimeOut = "",
        no_color: options.NoColor = False,
        namespace: options.Place = "",
        context: options.Context = "",
        kubeconfig: options.Kubeconfig = None,
    ) -> None:
        shared = Asked(
            wait=wait,
            timeout=timeout,
            no_color=no_color,
            namespace=namespace,
            context=context,
            kubeconfig=kubeconfig,
        )
        run(name, verb, shared)

    command.__name__, command.__doc__ = word, sentence
    return command


COMMANDS: tuple[Callable[..., None], ...] = (
    promote,
    _command("abort", "abort", "Take the revision on its way back; traffic first, pods after."),
    _command("retry", "retry", "Try a revision that was taken back again, from its first step."),
    _command("pause", "pause", "Stop at the present step; analysis and rollback go on."),
    _command("resume", "resume", "Go on after `pause`."),
    _command("restart", "restart", "Replace the pods of the stable revision, a few at a time."),
    _command("conclude", "conclude-experiment", "End an experiment now, with what it knows."),
)
