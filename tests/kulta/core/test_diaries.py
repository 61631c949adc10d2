"""Whole diaries of a few rollouts: every status that was written, and everything that was told.

Each golden file is one story as people and their tools read it: what changed from one status to the
next, Events, FALSE occurrences, CDEvents, what hooks are told. Stories elsewhere ask for what
matters to them; here nothing is left out, so that no word changes unseen.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.kulta.core.actions import Emit
from fleet.kulta.core.messages import cdevents, occurrences, webhooks
from tests import gen
from tests.conftest import Golden
from tests.kulta.ab import decided
from tests.kulta.world import World, blue_green_world, canary_world

FOLDER = Path(__file__).parents[2] / "golden" / "diaries"
HOOKS = [
    {"name": "news", "type": "event", "url": "https://hooks.example.com/news"},
    {"name": "end", "type": "post-rollout", "url": "https://hooks.example.com/end"},
]


def canary() -> World:
    """A pause that a person ends, then the promotion."""
    world = canary_world((20, None), 60, 100, routed=True)
    world.update(hooks=HOOKS)
    world.settle()
    world.image("shop:v2")
    world.run(60)
    world.annotate("promote")
    return world.settle()


def superseded() -> World:
    """A new revision in the middle of a pause, which is taken back by a person."""
    world = canary_world((25, "10m"), 100).settle()
    world.image("shop:v2")
    world.run(60)
    world.image("shop:v3")
    world.run(60)
    world.annotate("abort")
    return world.settle()


def late() -> World:
    """Pods that never become ready."""
    world = canary_world((50, None), 100).settle()
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    return world.settle()


def preview() -> World:
    """Blue-green with a person who promotes."""
    world = blue_green_world(routed=True).settle()
    world.image("shop:v2")
    world.run(60)
    world.annotate("promote")
    return world.settle()


def judged() -> World:
    """A canary whose errors take it back, with a query that nobody answers beside them."""
    slow = {"name": "latency-p99", "threshold": 400.0}
    analysis = gen.analysis({"name": "error-rate", "threshold": 5.0}, slow)
    world = canary_world((20, None), 100, routed=True, analysis=analysis).settle()
    world.answer = _answer
    world.image("shop:v2")
    return world.run(300)


def _answer(text: str) -> float | None:
    if "quantile" in text:
        return None
    return 8.0 if "/" in text else 1_000.0


def experiment() -> World:
    """The numbers conclude it, and a person promotes the winner."""
    world = decided()
    world.annotate("promote")
    return world.settle()


def alone() -> World:
    """A first revision that never becomes ready, with nothing to go back to; then a retry."""
    world = canary_world((50, None), 100, stepsOnFirstRollout=True)
    world.broken = {gen.revision("shop:v1")}
    world.settle()
    world.broken = set()
    world.annotate("retry")
    return world.run(30)


def known() -> World:
    """Back to a revision that has proved itself, two revisions later."""
    world = canary_world((20, None), 100, rollbackWindow=3).settle()
    for image in ("shop:v2", "shop:v3"):
        world.image(image)
        world.run(30)
        world.annotate("promote")
        world.settle()
    world.image("shop:v1")
    return world.settle()


STORIES: tuple[Callable[[], World], ...] = (
    canary,
    superseded,
    late,
    alone,
    known,
    preview,
    judged,
    experiment,
)


@pytest.mark.parametrize("story", STORIES, ids=[story.__doc__ or "" for story in STORIES])
def test_diary(story: Callable[[], World], golden: Golden) -> None:
    world = story()
    pages = {
        "status": list(_pages(world)),
        "events": [f"{x.kind} {x.reason}: {x.message}" for x in world.actions(Emit)],
        "occurrence": occurrences.of(world.heard[-1], "eu-1"),
        "cdevents": cdevents.of(world.heard[-1]),
        "hooks": [body for _, body in webhooks.told(world.heard[-1])],
    }
    text = yaml.safe_dump(pages, sort_keys=False, width=100, allow_unicode=True)
    rounded = re.sub(r"\d\.\d{7,}", lambda found: f"{float(found[0]):.6f}", text)
    golden.check(FOLDER / f"{story.__name__}.yaml", rounded)


def _pages(world: World) -> Iterator[dict[str, Any]]:
    """What each status has that the one before had not, one line each; a list has only its last."""
    before: dict[str, str] = {}
    for status in world.writes:
        now = dict(_lines(status.manifest()))
        yield {key: now.get(key, "gone") for key in now | before if now.get(key) != before.get(key)}
        before = now


def _lines(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for item in status.pop("conditions"):
        said = f"{item['status']} {item['reason']} {item.get('message', '')}"
        yield item["type"], said.strip()
    decision = status.pop("decisions")[-1]
    yield "decision", " ".join(f"{key}={value}" for key, value in decision.items())
    yield from ((key, str(value)) for key, value in status.items())
