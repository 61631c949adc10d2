"""Runs as the real planner leaves them, for what commands say about them.

Each scene is a world of `tests.hub.world`: three members, `a` alone in the wave `canary`, the
others in `rest`. `asked` plays a request of a command to its answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fleet.api.fleetrollout import FleetRollout, RunPhase
from fleet.api.names import REQUEST_ANNOTATION, REQUESTED_BY_ANNOTATION, ClusterName
from fleet.cli.runs import asking
from fleet.cli.runs.asking import Answer, Wish
from fleet.cli.runs.inputs import Inputs
from fleet.cli.runs.view import View
from fleet.hub.core.observed import ApplicationObserved
from tests.hub import gen, world
from tests.hub.copies import scene
from tests.hub.world import World

WAVE: Mapping[str, Any] = {"name": "canary", "clusterSelector": {"matchLabels": {"ring": "canary"}}}
REST: Mapping[str, Any] = {"name": "rest", "remaining": True}
Scene = Callable[[], World]


def new(*after: Mapping[str, Any], **policy: Any) -> World:
    """Before the first run; `after` are the gates behind the wave `canary`."""
    waves = [{**WAVE, "after": list(after)}, REST]
    return world.new("a", "b", "c", labels={"a": "canary"}, waves=waves, **policy)


def until(here: World, phase: RunPhase) -> World:
    """Ticks until the newest run is in that phase."""
    for _ in range(60):
        here = world.tick(here)
        if here.runs and here.run.status.phase is phase:
            return here
    raise AssertionError(here.run.status)


@scene
def progressing() -> World:
    return until(new(), RunPhase.PROGRESSING)


@scene
def awaiting_approval() -> World:
    return until(new({"approval": {}}), RunPhase.AWAITING_APPROVAL)


@scene
def awaiting_promotion() -> World:
    return until(new({"paused": True}), RunPhase.PAUSED)


@scene
def pausing() -> World:
    """The second run pauses in `a`, and nothing but a person ends that."""
    steps = [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]
    here = delivered(succeeded(), "shop:v2", strategy={"canary": {"steps": steps}})
    for _ in range(6):
        here = world.tick(here)
    return here


@scene
def soaking() -> World:
    return until(new({"soak": "10m"}), RunPhase.SOAKING)


@scene
def succeeded() -> World:
    return world.settle(new())


@scene
def left() -> World:
    """`b` belongs to the fleet no more, and nobody goes without a question."""
    here, name = world.settle(new(maxPrune=0)), ClusterName("b")
    member = replace(here.members[name], cluster=gen.cluster("b", tier="other"))
    return world.tick(replace(here, members={**here.members, name: member}))


def delivered(here: World, image: str, **policy: Any) -> World:
    """The tenant writes another image; the waves stay."""
    waves = here.application.spec.delivery_policy.manifest()["waves"]
    return world.deliver(here, image, waves=waves, **policy)


@scene
def second() -> World:
    """The second run is on its way in the wave `canary`."""
    return until(delivered(succeeded(), "shop:v2"), RunPhase.PROGRESSING)


@scene
def third() -> World:
    """The third run is on its way, after two good ones."""
    return until(delivered(world.settle(second()), "shop:v3"), RunPhase.PROGRESSING)


@scene
def halted() -> World:
    """The second revision failed its analysis in `a`."""
    return world.settle(replace(second(), bad=frozenset({"a"})))


@scene
def paused() -> World:
    return world.tick(replace(progressing(), request="pause/0"))


@scene
def rolling_back() -> World:
    """The second run goes back, asked for after its end."""
    here = world.settle(second())
    return until(replace(here, request="rollback/0"), RunPhase.ROLLING_BACK)


@scene
def lost() -> World:
    """A member of the wave `rest` cannot be reached."""
    return world.settle(world.lose(second(), "b"))


@scene
def refused() -> World:
    """The Application has become one that the hub does not accept."""
    here = succeeded()
    gone = here.application.spec.destination.model_copy(update={"namespace": "elsewhere"})
    spec = here.application.spec.model_copy(update={"destination": gone})
    return world.tick(replace(here, application=here.application.model_copy(update={"spec": spec})))


def waiting() -> World:
    """A request is written that nobody has answered."""
    here = halted()
    meta = here.run.metadata
    notes = {REQUEST_ANNOTATION: "resume/7", REQUESTED_BY_ANNOTATION: "jane"}
    meta = meta.model_copy(update={"annotations": notes})
    here.runs[here.run.name] = here.run.model_copy(update={"metadata": meta})
    return here


def unseen() -> World:
    """The Application was changed a moment ago."""
    return delivered(succeeded(), "shop:v2")


@scene
def queued() -> World:
    """The second run has just succeeded, a third revision has waited for that."""
    here = delivered(second(), "shop:v3", onNewRevision="Queue")
    return until(here, RunPhase.SUCCEEDED)


@scene
def queued_behind_a_halt() -> World:
    """A third revision waits for the second run, which waits for a person."""
    return world.tick(delivered(halted(), "shop:v3", onNewRevision="Queue"))


@scene
def undone() -> World:
    """The second run has succeeded and is asked to be undone; the third is not made yet."""
    return world.tick(replace(world.settle(second()), request="undo/0"))


@scene
def put_aside() -> World:
    """The first revision is delivered again in place of the second, which is still asked for."""
    return world.settle(undone())


def announced() -> World:
    """The Application tells of a second run that has not been heard of yet."""
    here = second()
    del here.runs["checkout-2"]
    return here


@scene
def joined() -> World:
    """The same for a run of the same revision: somebody has joined the fleet."""
    here = succeeded()
    name = ClusterName("d")
    here = world.tick(
        replace(
            here,
            members={**here.members, name: gen.member("d", ring="rest")},
            objects={**here.objects, name: {}},
        )
    )
    del here.runs["checkout-2"]
    return here


def seen(here: World) -> View:
    """The newest run as a command finds it."""
    items = {str(name): item for name, item in here.items.items()}
    return View(run=here.run, application=here.application, items=items)


def known(here: World) -> Inputs:
    """The same as `plan` and `simulate` find it."""
    observed = ApplicationObserved(
        fleet=here.fleet,
        members=here.members,
        runs=tuple(sorted(here.runs.values(), key=lambda run: run.spec.number)),
        clusters=tuple(here.items.values()),
        templates=world.TEMPLATES.digest,
    )
    return Inputs(application=here.application, observed=observed)


def lasting(text: str, *runs: FleetRollout, revision: str = "") -> str:
    """The text with digests that do not change with the templates, as long as the true ones."""
    for run in runs:
        text = text.replace(run.status.plan_digest or "none", "d" * 8)
    for place, true in enumerate(
        dict.fromkeys((*(run.spec.revision for run in runs), revision)), 1
    ):
        kept = str(place) * 10
        if true:
            text = text.replace(true, kept).replace(true[:6], kept[:6])
    return text


def asked(here: World, wish: Wish, identity: str = "x1") -> tuple[FleetRollout, Answer | None]:
    """The run after that request, and what the command says."""
    before = here.run
    text = asking.text(wish, before, before.spec.number, identity)
    after = world.tick(replace(here, request=text)).run
    return after, asking.answer(before.status.history, after, wish.verb, identity)
