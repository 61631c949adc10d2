"""Templates of a tenant's own: a change goes through the waves, and what was frozen stays."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.fleetrollout import RunPhase
from fleet.api.names import ClusterName
from fleet.rendering.tenant import Own
from tests.hub import gen, world
from tests.hub.world import TEMPLATES, World

HTTPROUTE = dict(TEMPLATES.files)["httproute.yaml.j2"]
WAVES = [
    {"name": "canary", "clusterSelector": {"matchLabels": {"ring": "canary"}}},
    {"name": "rest", "remaining": True, "maxConcurrency": 2},
]
SLOW = [{**WAVES[0], "after": [{"soak": "10m"}]}, WAVES[1]]


def own(note: str) -> Own:
    """An HTTPRoute with that annotation."""
    noted = HTTPROUTE.replace("metadata:\n", f"metadata:\n  annotations: {{note: {note}}}\n")
    return Own(files={"httproute.yaml.j2": noted})


def with_templates(here: World, named: str = "own") -> World:
    """The Application names that ConfigMap."""
    templates = here.application.spec.model_validate(
        {**gen.spec(), "templates": {"configMap": named}}
    ).templates
    spec = here.application.spec.model_copy(update={"templates": templates})
    meta = here.application.metadata
    meta = meta.model_copy(update={"generation": meta.generation + 1})
    application = here.application.model_copy(update={"spec": spec, "metadata": meta})
    return replace(here, application=application)


def note(here: World, name: str) -> Any:
    route = here.objects[ClusterName(name)]["httproutes", "checkout", "checkout"]
    return route["metadata"]["annotations"].get("note")


def notes(here: World) -> list[Any]:
    return [note(here, name) for name in sorted(here.members)]


@pytest.fixture(scope="module")
def delivered() -> World:
    """The first text is everywhere."""
    begun = world.new("a", "b", "c", labels={"a": "canary"}, waves=SLOW)
    here = world.settle(replace(with_templates(begun), own=own("one")))
    here = world.settle(world.tick(here, seconds=600))
    assert (here.run.status.phase, notes(here)) == (RunPhase.SUCCEEDED, ["one"] * 3)
    return here


def test_a_changed_configmap_goes_through_the_waves(delivered: World) -> None:
    here = world.settle(replace(delivered, own=own("two")))
    assert here.run.name == "checkout-2"
    assert here.run.spec.trigger == "ClusterInputsChanged"
    assert here.run.status.phase is RunPhase.SOAKING
    assert notes(here) == ["two", "one", "one"]
    here = world.settle(world.tick(here, seconds=600))
    assert (here.run.status.phase, notes(here)) == (RunPhase.SUCCEEDED, ["two"] * 3)


def test_the_same_text_again_begins_nothing(delivered: World) -> None:
    assert world.settle(replace(delivered, own=own("one"))).run.name == "checkout-1"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(None, "TemplatesNotFound", id="it is gone"),
        pytest.param(Own(wrong="it is empty"), "TemplateError", id="it makes no sense"),
    ],
)
def test_a_configmap_that_is_gone_or_wrong_moves_nothing(
    delivered: World, found: Own | None, reason: str
) -> None:
    here = world.settle(replace(delivered, own=found, log=[]))
    assert (here.run.name, here.log) == ("checkout-1", [])
    assert {item.reason for item in here.application.status.conditions} == {reason}
    back = world.settle(replace(here, own=own("one")))
    assert (back.run.name, back.log) == ("checkout-1", [])
    assert {item.status for item in back.application.status.conditions} == {"True"}


def test_a_run_under_way_goes_on_with_what_it_has_frozen(delivered: World) -> None:
    here = world.settle(replace(delivered, own=own("two")))
    here = world.settle(world.tick(replace(here, own=None), seconds=600))
    assert (here.run.status.phase, notes(here)) == (RunPhase.SUCCEEDED, ["two"] * 3)


def test_a_rollback_takes_the_text_of_the_run_that_ran_well(delivered: World) -> None:
    here = world.settle(replace(delivered, own=own("two")))
    assert notes(here) == ["two", "one", "one"]
    here = world.settle(replace(here, request="rollback/1"))
    assert (here.run.status.phase, notes(here)) == (RunPhase.ROLLED_BACK, ["one"] * 3)


def test_an_undo_delivers_the_text_of_the_former_run_whatever_the_configmap_says(
    delivered: World,
) -> None:
    here = world.settle(replace(delivered, own=own("two")))
    here = world.settle(world.tick(here, seconds=600))
    here = world.settle(replace(here, own=None, request="undo/1/checkout-1"))
    here = world.settle(world.tick(here, seconds=600))
    assert (here.run.name, here.run.spec.trigger) == ("checkout-3", "Undone")
    assert (here.run.status.phase, notes(here)) == (RunPhase.SUCCEEDED, ["one"] * 3)
    here = world.settle(replace(here, own=own("three")))
    assert here.run.name == "checkout-3", "until the Application is changed"
    here = world.settle(with_templates(here, "another"))
    assert here.run.spec.application.templates == own("three").files
    assert note(here, "a") == "three"


def test_replicas_and_templates_together_are_no_change_of_replicas(delivered: World) -> None:
    """That one would go without soak."""
    spec = delivered.application.spec
    workload = spec.workload.model_copy(update={"replicas": 7})
    meta = delivered.application.metadata
    application = delivered.application.model_copy(
        update={
            "spec": spec.model_copy(update={"workload": workload}),
            "metadata": meta.model_copy(update={"generation": meta.generation + 1}),
        }
    )
    alone = world.settle(replace(delivered, application=application))
    assert alone.run.spec.trigger == "ReplicasChanged"
    both = world.settle(replace(delivered, application=application, own=own("two")))
    assert (both.run.spec.trigger, both.run.status.phase) == ("SpecChanged", RunPhase.SOAKING)
    assert notes(both) == ["two", "one", "one"]
