"""When `watch` and `--wait` are over, with which exit code, and what a file gets to read."""

from collections.abc import Callable

import pytest

from fleet.cli.rollouts import place, verbs, watching
from fleet.cli.rollouts.family import Family
from fleet.errors import UserError
from tests.cli.rollouts import scenes
from tests.kulta.world import World


def refused() -> World:
    """Its spec breaks a rule that an older CRD let through."""
    world = scenes.completed(120)
    world.update(maxSurge=0, maxUnavailable=0)
    world.run(5)
    return world


def asked() -> World:
    """It failed, and somebody has just asked for another try."""
    world = scenes.failed()
    world.annotate("retry")
    return world


def unseen() -> World:
    """A new template that the engine has not looked at."""
    world = scenes.completed(120)
    world.image("shop:v3")
    return world


ENDS = [
    pytest.param(scenes.completed, 0, id="completed"),
    pytest.param(scenes.failed, 1, id="failed"),
    pytest.param(refused, 1, id="a spec that breaks a rule"),
    pytest.param(scenes.paused, None, id="a pause"),
    pytest.param(scenes.experiment, None, id="an experiment"),
    pytest.param(unseen, None, id="the end of what was before"),
    pytest.param(asked, None, id="a failure that is about to be tried again"),
]


@pytest.mark.parametrize(("scene", "code"), ENDS)
def test_a_watch_is_over(scene: Callable[[], World], code: int | None) -> None:
    assert watching.is_over(scenes.seen(scene)) == code


WAITS = [
    pytest.param("promote", scenes.completed, 0, id="promoted and done"),
    pytest.param("promote", scenes.failed, 1, id="promoted and failed"),
    pytest.param("promote", scenes.paused, None, id="a pause that ends by itself"),
    pytest.param("promote", lambda: scenes.paused(None), 0, id="a pause that waits for a person"),
    pytest.param("pause", scenes.held, 0, id="paused"),
    pytest.param("abort", scenes.failed, 0, id="aborted, as asked for"),
    pytest.param("retry", asked, None, id="not taken yet"),
    pytest.param("restart", scenes.restarting, None, id="pods that are still to be replaced"),
    pytest.param("restart", scenes.completed, 0, id="none is left to be replaced"),
]


@pytest.mark.parametrize(("verb", "scene", "code"), WAITS)
def test_waiting_for_a_request_is_over(
    verb: str, scene: Callable[[], World], code: int | None
) -> None:
    assert verbs.at_rest(verb)(scenes.seen(scene)) == code


def test_a_request_that_is_recorded_and_not_removed_is_not_over() -> None:
    world = scenes.completed()
    world.status = world.status.model_copy(update={"handled": {"promote": "true"}})
    assert verbs.at_rest("promote")(scenes.family(world)) is None


SUMMARIES = [
    pytest.param(scenes.broken, "Progressing  step 1/3  0%  3/4 ready  its pods", id="crashing"),
    pytest.param(scenes.failed, "Failed  3/3 ready  revision", id="failed"),
    pytest.param(scenes.previewed, "Preview  step preview  4/4 ready  awaiting", id="a preview"),
]


@pytest.mark.parametrize(("scene", "words"), SUMMARIES)
def test_a_line_says_where_it_stands(scene: Callable[[], World], words: str) -> None:
    family: Family = scenes.seen(scene)
    assert watching.summary(family).startswith(words)
    assert "\n" not in watching.summary(family)


@pytest.mark.parametrize("text", ["web", "ro/web", "rollout/web", "Rollouts.kulta.io/web"])
def test_a_name_may_have_its_kind(text: str) -> None:
    assert place.plain(text) == "web"


@pytest.mark.parametrize("text", ["pods/web", "ro/"])
def test_another_kind_is_a_mistake(text: str) -> None:
    with pytest.raises(UserError, match="write ro/NAME or NAME"):
        place.plain(text)
