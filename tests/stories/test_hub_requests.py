"""A request on an Application stays written there; it is meant for the run that there was."""

from dataclasses import replace

from fleet.api.fleetrollout import RunPhase
from fleet.api.names import REQUEST_ANNOTATION
from tests.hub import world


def asked(here: world.World, text: str) -> world.World:
    """Somebody writes the annotation on the Application."""
    meta = here.application.metadata.model_copy(update={"annotations": {REQUEST_ANNOTATION: text}})
    application = here.application.model_copy(update={"metadata": meta})
    return replace(here, application=application, request=text)


def delivered(here: world.World, image: str) -> world.World:
    """A new image; the annotation stays where it is, as `kubectl apply` leaves it."""
    after = world.deliver(here, image, revisionHistoryLimit=2)
    return asked(after, here.request)


def test_an_old_request_is_not_acted_on_by_a_later_run() -> None:
    here = world.settle(world.new("a", "b", revisionHistoryLimit=2))
    here = world.tick(world.tick(delivered(here, "shop:v2")))
    here = world.settle(asked(here, "abort/x1"))
    assert here.run.status.phase is RunPhase.ABORTED
    for number in range(3, 8):
        here = world.settle(delivered(here, f"shop:v{number}"))
        assert here.run.status.phase is RunPhase.SUCCEEDED
        assert here.run.status.handled == (), "nor is it answered again"
    assert "checkout-2" not in here.runs, "nobody is left who knows that it was acted on"
    assert here.run.spec.request_seen == "x1"


def test_a_new_request_is_heard() -> None:
    here = world.settle(asked(world.new("a", "b"), "abort/x1"))
    assert here.run.status.phase is RunPhase.SUCCEEDED
    here = world.tick(world.tick(delivered(here, "shop:v2")))
    assert world.settle(asked(here, "abort/x2")).run.status.phase is RunPhase.ABORTED
