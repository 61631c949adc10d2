"""Requests to the hub: what a verb writes for a run, what came back, what to write instead. Pure.

Called by the verbs. The hub judges; here is only what it could not answer: a run that does not
listen any more, and names that stand in no plan.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.api.application import Application
from fleet.api.fleetrollout import Entry, FleetRollout, RunPhase
from fleet.cli.runs.place import clusters_of
from fleet.errors import UserError
from fleet.hub.core import phases
from fleet.hub.core.application import leaving
from fleet.kit import phrases

REFUSED = "RequestRefused"
_REQUEST = re.compile(
    r"(?:write )?(?:the request )?"
    r"(?P<verb>[a-z]+(?:-[a-z]+)?)/<id>(?:/(?P<name>[a-z0-9.-]+|<[a-z ]+>))?(?P<digest>:[0-9a-z]+)?"
)
_ALONE = re.compile(r"(?:write )?(?:the )?request (?P<verb>[a-z]+)\b(?!/| came)")
_OPTIONS: Mapping[str, str] = {
    "skip": "--cluster",
    "undo": "--to",
    "confirm-prune": "--plan",
}
"""What a name is about in the sentences of the hub, where it is no wave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing that a run can be asked for."""

    reason: str
    """What the run's history says when it is done: a constant of `api.reasons`."""
    takes: tuple[str, ...] = ()
    """Options that say more: `wave`, `cluster`, `plan`, `to`."""
    is_named: bool = False
    """A wave or a cluster has to be named."""


VERBS: Mapping[str, Verb] = {
    "pause": Verb(reason="Paused"),
    "resume": Verb(reason="Resumed"),
    "approve": Verb(reason="Approved", takes=("wave", "plan")),
    "promote": Verb(reason="Promoted", takes=("wave", "cluster")),
    "conclude": Verb(reason="Concluded", takes=("wave", "cluster")),
    "skip": Verb(reason="Skipped", takes=("wave", "cluster"), is_named=True),
    "retry": Verb(reason="Retried", takes=("cluster",)),
    "rollback": Verb(reason="RollingBack", takes=("wave", "cluster")),
    "undo": Verb(reason="Undone", takes=("to",)),
    "abort": Verb(reason="Aborted"),
    "confirm-prune": Verb(reason="PruneConfirmed", takes=("plan",)),
}
"""What the hub understands (`hub.core.run.requests`), in the order of the list of commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A verb with what was said beside it."""

    verb: str
    wave: str = ""
    cluster: str = ""
    plan: str = ""
    """The digest of what was seen: of a plan, empty of the plan as it is, or of who has left."""
    to: str = ""
    """A former run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the hub said."""

    refused: bool
    text: str


def checked(wish: Wish) -> Wish:
    """The wish. Raises UserError `Usage` for one that could mean two things, or nothing."""
    if wish.wave and wish.cluster:
        raise UserError("Usage", "--wave and --cluster: write one of them")
    if VERBS[wish.verb].is_named and not wish.wave and not wish.cluster:
        raise UserError("Usage", f"{wish.verb} whom? write --cluster NAME or --wave NAME")
    return wish


def text(wish: Wish, run: FleetRollout, newest: int, identity: str) -> str:
    """`<verb>/<id>[/<argument>]` for that run; `newest` is the number of the newest one.

    Raises UserError `Refused` where no hub would answer, with what to write instead.
    """
    application, number = run.spec.application.name, run.spec.number
    if newest > number:
        raise UserError(
            "Refused",
            f"{run.name} listens no more, {application}-{newest} is the newest run: "
            f"fleet {wish.verb} {application}",
        )
    _check_names(wish, run)
    said = wish.wave or wish.cluster or wish.to or wish.plan
    argument = _approval(wish, run) if wish.verb == "approve" else said
    return "/".join(part for part in (wish.verb, identity, argument) if part)


def check_leaving(wish: Wish, application: Application) -> None:
    """Whether that Application waits for a yes to those who have left, and to these.

    Raises UserError `Refused`: a hub would keep the yes and nothing would follow.
    """
    asked = [item for item in application.status.conditions if item.type == leaving.PRUNED]
    if not asked:
        text = f"{application.name}: nobody waits to be let go: its condition Pruned would say so"
        raise UserError("Refused", text)
    if not wish.plan or not asked[0].message.endswith(f"/{wish.plan}"):
        raise UserError(
            "Refused", f"{application.name}: {spoken(asked[0].message, application.name)}"
        )


def _check_names(wish: Wish, run: FleetRollout) -> None:
    waves, clusters = [wave.name for wave in run.spec.plan.waves], clusters_of(run)
    for option, name, known in (
        ("--wave", wish.wave, waves),
        ("--cluster", wish.cluster, clusters),
    ):
        if name and name not in known:
            text = f"{run.name} has none of that name: name one of {phrases.listed(known)}"
            raise UserError("Refused", f"{option} {name}: {text}")


def _approval(wish: Wish, run: FleetRollout) -> str:
    status = run.status
    if wish.plan and wish.plan != status.plan_digest:
        raise UserError(
            "Refused",
            f"the plan of {run.name} is {status.plan_digest}, not {wish.plan}: look at it "
            f"(fleet describe {run.name}), then fleet approve {run.name} "
            f"--plan {status.plan_digest}",
        )
    wave = wish.wave or next((one.name for one in status.waves if one.finished_at is None), "")
    if not wave:
        raise UserError("Refused", f"no wave of {run.name} has still to go: it is {status.phase}")
    return f"{wave}:{status.plan_digest}"


def answer(before: Sequence[Entry], run: FleetRollout, verb: str, identity: str) -> Answer | None:
    """What the hub has answered to that request since `before`; None: nothing yet."""
    if identity not in run.status.handled:
        return None
    wanted = (REFUSED, VERBS[verb].reason)
    found = next((entry for entry in since(before, run) if entry.reason in wanted), None)
    if found is None:
        return Answer(refused=False, text=spoken(run.status.message, run.name))
    refused = found.reason == REFUSED
    words = spoken(found.message, run.name)
    over = refused and run.status.phase in phases.ENDS
    instead = f"; {_after_the_end(run, verb)}" if over else ""
    return Answer(refused=refused, text=words + instead)


def since(before: Sequence[Entry], run: FleetRollout) -> Sequence[Entry]:
    """What the history says since then; old entries leave it at its other end."""
    entries = run.status.history
    last = before[-1] if before else None
    places = [index for index, entry in enumerate(entries) if entry == last]
    return entries[places[-1] + 1 :] if places else entries


def _after_the_end(run: FleetRollout, verb: str) -> str:
    """What there is to do about a run that is over, beside what has just been refused."""
    known = verb != "rollback" and run.status.phase in phases.GOOD_ENDS | {RunPhase.ABORTED}
    back = f"fleet rollback {run.name} takes it back" if known else ""
    again = f"fleet undo {run.name} delivers a former run again" if verb != "undo" else ""
    ways = [one for one in (back or again,) if one]
    ways.append(f"a change of Application {run.spec.application.name} begins the next run")
    return ", and ".join(ways)


def spoken(words: str, run: str) -> str:
    """A sentence of the hub with commands in the place of the requests that it names."""

    def command(found: re.Match[str]) -> str:
        verb, said = found["verb"], found.groupdict()
        if verb not in VERBS:
            return found[0]
        parts = [f"fleet {verb} {run}"]
        parts += [f"{_OPTIONS.get(verb, '--wave')} {said['name']}"] if said.get("name") else []
        parts += [f"--plan {said['digest'][1:]}"] if said.get("digest") else []
        return " ".join(parts)

    return _ALONE.sub(command, _REQUEST.sub(command, words))
