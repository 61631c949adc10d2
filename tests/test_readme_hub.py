"""What the README says of waves and gates is what the planner does."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import yaml

from fleet.api.application import ApplicationSpec, CanaryPolicy
from fleet.api.fleetrollout import RunPhase, Snapshot
from fleet.hub.core.run import requests
from fleet.rendering import environment, render
from tests import readme
from tests.hub import gen, world
from tests.hub.real import Real

TEXT = readme.README.read_text()
TEMPLATES = readme.README.parent / "templates"


def example(begin: str) -> Any:
    """The YAML block that begins so."""
    found = re.search(rf"```yaml\n({re.escape(begin)}.*?)```", TEXT, re.DOTALL)
    assert found, begin
    return yaml.safe_load(found[1])


def test_the_gates_of_the_readme_do_what_the_text_says() -> None:
    """On a Friday: soaked, approved, and then the rest waits for Monday, eight in Berlin."""
    here = world.new("a", "b", labels={"a": "canary"}, **example("waves:\n- name: canary"))
    for _ in range(8):
        here = world.tick(here)
    assert here.run.status.phase is RunPhase.SOAKING
    here = world.settle(world.tick(here, seconds=900))
    assert here.run.status.phase is RunPhase.AWAITING_APPROVAL
    text = here.run.status.unblock.removeprefix("the request ").replace("<id>", "7")
    here = world.settle(replace(here, request=text))
    assert (here.run.status.phase, here.started) == (RunPhase.OUTSIDE_WINDOW, ["a"])
    assert here.run.status.until == datetime(2026, 11, 23, 7, tzinfo=UTC)
    here = world.tick(replace(here, now=here.run.status.until))
    assert (here.run.status.reason, here.started) == ("AwaitingHook", ["a"])


def test_what_a_rollout_can_be_told_arrives_there() -> None:
    given = example("deliveryPolicy:\n  rollout:")["deliveryPolicy"]
    body = {**gen.spec(), "deliveryPolicy": given}
    spec = ApplicationSpec.model_validate(body, extra="forbid")
    snapshot, templates = Snapshot(name="checkout", spec=spec), environment.read(TEMPLATES)
    found = render.render(templates, gen.delivery(snapshot, gen.cluster("a")))
    told = found[0].manifest["spec"]
    assert told == {**told, **given["rollout"]}
    assert told["strategy"]["canary"] == {
        **told["strategy"]["canary"],
        **given["strategy"]["canary"],
    }


def test_the_live_weight_of_the_readme_moves_without_a_run() -> None:
    given = example("deliveryPolicy:\n  maxConcurrency: 100%")["deliveryPolicy"]
    here = world.new("a", **given)
    here.engines = Real()
    here = world.settle(world.deliver(world.settle(here), "shop:v2", **given))
    found = re.search(r"--type merge -p '(.*externalWeight.*)'", TEXT)
    assert found
    (patch,) = json.loads(found[1])["spec"]["deliveryPolicy"]["strategy"].values()
    moved = {**given["strategy"]["canary"], **patch}
    before = here.cluster("a").status.engine.weight
    here = world.settle(world.deliver(here, "shop:v2", **given | {"strategy": {"canary": moved}}))
    assert (before, here.cluster("a").status.engine.weight) == (25, 40)
    assert (here.run.name, here.run.status.external_weight) == ("checkout-2", 40)
    assert here.cluster("a").status.dispatch.weight == 40
    assert CanaryPolicy().external_weight is None
    ended = world.settle(replace(here, request="promote/1"))
    assert ended.run.status.phase is RunPhase.SUCCEEDED


def test_the_rollback_of_the_readme_does_what_the_text_says() -> None:
    """One fails: all that have gone go back, also who was done; the limits hold on the way."""
    policy = {"maxConcurrency": 2, **example("deliveryPolicy:\n  onFailure")["deliveryPolicy"]}
    here = world.settle(world.new("a", "b", "c", "d", **policy))
    assert here.run.status.phase is RunPhase.SUCCEEDED
    gone = [item.spec.want.since for item in here.items.values() if item.spec.want]
    gaps = [later - sooner for sooner, later in pairwise(sorted(filter(None, gone)))]
    assert min(gaps) >= timedelta(seconds=30)
    here = world.deliver(replace(here, bad=frozenset("d"), started=[]), "shop:v2", **policy)
    done = world.settle(here)
    assert done.run.status.phase is RunPhase.ROLLED_BACK
    assert {done.image(name) for name in "abcd"} == {"shop:v1"}
    assert done.run.spec.plan.rollback_concurrency == 2


def test_every_request_of_the_readme_is_one() -> None:
    named = set(re.findall(r"`([a-z-]+)/<id>", TEXT))
    assert named == set(requests.VERBS)
