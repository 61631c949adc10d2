"""`fleet pause`, `approve`, `rollback` and the like: ask the hub for something, hear its answer.

A verb writes an annotation on the run, guarded by the version that was judged, in the name that the
API server knows the caller by. Then the run's status is followed until the hub has answered.
"""

import inspect
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from fleet import errors
from fleet.api import names
from fleet.api.fleetrollout import FleetRollout
from fleet.cli import codes, options
from fleet.cli.following import Following, Topic
from fleet.cli.runs import asking, place
from fleet.cli.runs.asking import Answer, Wish
from fleet.cli.runs.place import Place, Target
from fleet.hub.core.run import requests

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
PAUSE, PATIENCE = 0.25, "30s"

Wave = Annotated[str, typer.Option(help="A wave of the run.", autocompletion=place.complete_wave)]
Cluster = Annotated[
    str, typer.Option(help="A cluster of the run.", autocompletion=place.complete_cluster)
]
Plan = Annotated[
    str, typer.Option(help="Digest of the plan, or of those who left, that you have seen.")
]
Former = Annotated[
    str,
    typer.Option(
        "--to",
        help="A former run; default: the last good one of another revision.",
        autocompletion=place.complete_run,
    ),
]
SPECIAL = ("wave", "cluster", "plan", "to")
"""Options that not every verb takes."""
Patience = Annotated[
    str,
    typer.Option("--timeout", help="How long an answer may take, e.g. 2m; then exit code 3."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Write the request, and no more.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The options that all verbs share."""

    no_wait: bool
    timeout: str
    namespace: str
    context: str
    kubeconfig: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that has been written."""

    before: FleetRollout
    """The run that was judged."""
    identity: str


def run(name: str, wish: Wish, where: Where) -> None:
    """One verb from the options to the exit code."""
    asking.checked(wish)
    end = time.monotonic() + (options.span(where.timeout) or 0.0)
    with place.reached(where.kubeconfig, where.context, where.namespace) as hub:
        asked = ask(hub, name, wish, end)
        run_name = asked.before.name
        if where.no_wait:
            typer.echo(f"{run_name}: asked to {wish.verb} (request {asked.identity})")
            return
        found = listen(hub, asked, wish.verb, end)
    if found is None:
        text = (
            f"{run_name}: no answer within {where.timeout} (request {asked.identity}); it stands, "
            "and a hub that runs acts on it"
        )
        typer.echo(text, err=True)
        raise typer.Exit(codes.TIMED_OUT)
    if found.refused:
        raise errors.UserError("Refused", f"{run_name}: {found.text}")
    typer.echo(f"{run_name}: {found.text}")


def ask(hub: Place, name: str, wish: Wish, end: float) -> Asked:
    """Write the request on the run that `name` means; waits till `end` for its turn.

    Raises UserError `Refused` where nobody would answer it.
    """
    author = hub.access.request("POST", REVIEWS, _REVIEW)["status"]["userInfo"]["username"]
    while True:
        target = hub.target(name)
        found, busy = target.run, _busy(target)
        if not busy and found is not None:
            if wish.verb == "confirm-prune":
                asking.check_leaving(wish, hub.owner(found))
            identity = secrets.token_hex(4)
            words = asking.text(wish, found, _newest(hub, target, found), identity)
            try:
                _write(hub, found, words, author)
                return Asked(before=found, identity=identity)
            except errors.Conflict:
                busy = "it moves too fast to be asked; try again"
        if time.monotonic() > end:
            raise errors.UserError("Refused", f"{target.name}: {busy}")
        time.sleep(PAUSE)


def _busy(target: Target) -> str:
    """What the hub has to do before it can be asked; empty: nothing."""
    if target.is_unseen:
        return "the hub has not looked at its present spec yet; does it run?"
    if target.run is None:
        return f"it has no run yet: {target.message}"
    words = target.run.metadata.annotations.get(names.REQUEST_ANNOTATION, "")
    is_answered = requests.identity(words) in target.run.status.handled
    # Another request would take its place before anybody has read it.
    return "" if not words or is_answered else f"the request {words} is not answered; does it run?"


def _newest(hub: Place, target: Target, found: FleetRollout) -> int:
    """The number of the newest run of that Application."""
    if target.application is not None:
        return found.spec.number
    return hub.newest(found)


_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def _write(hub: Place, found: FleetRollout, words: str, author: str) -> None:
    meta = {
        "annotations": {names.REQUEST_ANNOTATION: words, names.REQUESTED_BY_ANNOTATION: author},
        "resourceVersion": found.metadata.resource_version,
    }
    hub.access.patch(names.FLEETROLLOUTS.path(hub.namespace, found.name), {"metadata": meta})


def listen(hub: Place, asked: Asked, verb: str, end: float) -> Answer | None:
    """What the hub answers till `end`; None: nothing."""
    topic = Topic(
        resource=names.FLEETROLLOUTS,
        namespace=hub.namespace,
        query={"fieldSelector": f"metadata.name={asked.before.name}"},
    )
    with Following(hub.access, [topic]) as following:
        while True:
            items = following.objects(0)
            if not items:
                raise errors.UserError("NotFound", f"{asked.before.name} was deleted meanwhile")
            seen = FleetRollout.parse(items[0])
            found = asking.answer(asked.before.status.history, seen, verb, asked.identity)
            left = end - time.monotonic()
            if found is not None or left <= 0:
                return found
            following.wait(left)


def _command(verb: str) -> Callable[..., None]:
    """The command that asks for `verb`, with those options that the verb takes."""

    def command(
        name: place.Name,
        wave: Wave = "",
        cluster: Cluster = "",
        plan: Plan = "",
        to: Former = "",
        no_wait: NoWait = False,
        timeout: Patience = PATIENCE,
        namespace: options.Place = "",
        context: options.Context = "",
        kubeconfig: options.Kubeconfig = None,
    ) -> None:
        where = Where(
            no_wait=no_wait,
            timeout=timeout,
            namespace=namespace,
            context=context,
            kubeconfig=kubeconfig,
        )
        run(name, Wish(verb=verb, wave=wave, cluster=cluster, plan=plan, to=to), where)

    whole = inspect.signature(command)
    taken = asking.VERBS[verb].takes
    kept = [item for key, item in whole.parameters.items() if key not in SPECIAL or key in taken]
    cast(Any, command).__signature__ = whole.replace(parameters=kept)
    return command


COMMANDS: Mapping[str, Callable[..., None]] = {verb: _command(verb) for verb in asking.VERBS}
