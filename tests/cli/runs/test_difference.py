"""What would change where: grouped by equal changes, against what each cluster was sent last."""

import functools
from dataclasses import replace

from fleet.api.application import Templates
from fleet.cli.runs import difference, inputs
from fleet.cli.runs.difference import Group
from fleet.rendering.render import render
from fleet.rendering.tenant import Own
from tests.cli.runs import scenes
from tests.hub import gen, world
from tests.hub.world import World
from tests.stories import test_hub_weight

DRAW = functools.partial(render, world.TEMPLATES)


def found(here: World) -> list[Group]:
    known = scenes.known(here)
    return difference.groups(known, inputs.due(known), DRAW)


def changed(group: Group) -> list[str]:
    """The lines that go or come, without the names of the objects."""
    return [line for line in group.lines if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_a_new_image_is_one_line_for_everybody() -> None:
    (group,) = found(scenes.unseen())
    assert (group.clusters, group.before) == (("a", "b", "c"), "checkout-1")
    assert group.lines[:2] == ("--- Rollout checkout/checkout", "+++ Rollout checkout/checkout")
    assert changed(group) == ["-        image: shop:v1", "+        image: shop:v2"]


def test_nothing_changes_where_everybody_has_it() -> None:
    groups = found(scenes.succeeded())
    assert not difference.has_any(groups)
    assert [line.plain for line in difference.lines(groups)] == ["a, b, c: nothing changes"]


def test_a_template_of_ones_own_is_drawn_against_what_the_run_has_frozen() -> None:
    known = scenes.known(scenes.succeeded())
    text = dict(world.TEMPLATES.files)["services.yaml.j2"].replace(
        "{% import", "{# mine #}{% import"
    )
    macros = dict(world.TEMPLATES.files)["_macros.j2"].replace("name: http", "name: web")
    own = Own(files={"services.yaml.j2": text, "_macros.j2": macros})
    named = {"templates": Templates(config_map="own")}
    spec = known.application.spec.model_copy(update=named)
    known = replace(
        known,
        application=known.application.model_copy(update={"spec": spec}),
        observed=replace(known.observed, own=own),
    )
    (group,) = difference.groups(known, inputs.due(known), DRAW)
    assert set(changed(group)) == {"-  - name: http", "+  - name: web"}


def test_an_override_makes_a_group_of_its_own() -> None:
    here = scenes.unseen()
    body = gen.spec("shop:v2") | {
        "overrides": [
            {
                "clusterSelector": {"matchLabels": {"ring": "canary"}},
                "patch": [{"op": "replace", "path": "/workload/replicas", "value": 2}],
            }
        ]
    }
    body["deliveryPolicy"] = here.application.spec.delivery_policy.manifest()
    first, rest = found(replace(here, application=gen.application(generation=2, body=body)))
    assert (first.clusters, rest.clusters) == (("a",), ("b", "c"))
    assert "-  replicas: 4" in changed(first)
    assert "+  replicas: 2" in changed(first)
    assert changed(rest) == ["-        image: shop:v1", "+        image: shop:v2"]


def test_a_live_weight_that_was_sent_is_no_change_any_more() -> None:
    here = test_hub_weight.moved(test_hub_weight.begun(), 40)
    done, due = found(here)
    assert (done.clusters, done.lines) == (("a", "b"), ())
    assert changed(due) == [
        "-        image: shop:v1",
        "+        image: shop:v2",
        "-      externalWeight: 10",
        "+      externalWeight: 40",
    ]


def test_who_was_sent_nothing_gets_everything() -> None:
    here = scenes.unseen()
    here.members["d"] = gen.member("d", ring="rest")
    known, new = found(here)
    assert (known.clusters, new.clusters, new.before) == (("a", "b", "c"), ("d",), "nothing")
    assert all(line.startswith("+") for line in changed(new))
    heads = [line for line in new.lines if line.startswith("+++")]
    assert heads[0] == "+++ Rollout checkout/checkout"
    assert len(heads) == 4


def test_what_goes_is_told_too() -> None:
    here = scenes.unseen()
    workload = here.application.spec.workload.model_copy(update={"route": None})
    spec = here.application.spec.model_copy(update={"workload": workload})
    application = here.application.model_copy(update={"spec": spec})
    (group,) = found(replace(here, application=application))
    place = group.lines.index("--- HTTPRoute checkout/checkout")
    assert group.lines[place + 1] == "+++ nothing"


def test_clusters_between_two_runs_are_apart() -> None:
    """`a` was sent the second revision, the others stand at the first."""
    first, rest = found(scenes.second())
    assert (first.clusters, first.before, changed(first)) == (("a",), "checkout-2", [])
    assert (rest.clusters, rest.before) == (("b", "c"), "checkout-1")


def test_what_nobody_remembers_is_told_as_such() -> None:
    here = scenes.unseen()
    known = scenes.known(here)
    due = inputs.due(known)
    known = replace(known, observed=replace(known.observed, runs=()))
    (group,) = difference.groups(known, due, DRAW)
    assert group.before == "something of checkout-1, which is not kept"
