"""Revisions: which one is gone back to, its template, and how a revision is named."""

import pytest

from fleet.api import names
from fleet.cli.rollouts import chronicle, undo
from fleet.errors import UserError
from fleet.kulta.core.facts import revisions
from tests import gen
from tests.cli.rollouts import scenes


def third() -> scenes.World:
    """v1 and v2 were promoted, v3 is stable."""
    world = scenes.completed(120)
    world.image("shop:v3")
    world.run(120)
    return world


TARGETS = [
    pytest.param(third, "", "shop:v2", id="from the stable one to the one before"),
    pytest.param(third, "1", "shop:v1", id="by number"),
    pytest.param(third, gen.revision("shop:v1")[:6], "shop:v1", id="by hash"),
    pytest.param(scenes.paused, "", "shop:v1", id="from what is on its way to the stable one"),
    pytest.param(scenes.failed, "", "shop:v1", id="from what has failed to the stable one"),
]


@pytest.mark.parametrize(("scene", "word", "image"), TARGETS)
def test_undo_goes_to(scene: object, word: str, image: str) -> None:
    assert callable(scene)
    chosen = chronicle.target(scenes.family(scene()), word)
    template, is_same = chronicle.template(chosen)
    assert (template, is_same) == (gen.template(image), True)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        pytest.param("9", "no revision 9", id="a revision that there is not"),
        pytest.param("3", "is revision 3 already", id="the present one"),
    ],
)
def test_undo_refuses(word: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        chronicle.target(scenes.family(third()), word)


def test_a_deployments_template_is_brought_back_in_the_deployment() -> None:
    family = scenes.family(scenes.migrated())
    assert chronicle.foreign(family) == (
        "checkout takes the template of Deployment web: kubectl rollout undo deployment/web"
    )
    assert chronicle.foreign(scenes.family(scenes.completed())) is None
    assert family.wanted == gen.revision("shop:v2")
    with pytest.raises(UserError, match="the template of Deployment web is revision 2 already"):
        chronicle.target(family, "2")


def test_a_first_revision_has_nothing_before_it() -> None:
    world = scenes.World(gen.manifest(strategy={"simple": {}})).settle()
    with pytest.raises(UserError, match="no other revision"):
        chronicle.target(scenes.family(world), "")


def test_a_set_of_an_older_engine_gives_what_the_server_made_of_the_template() -> None:
    """Its labels are the user's again; it is another revision, and a person is told so."""
    world = scenes.completed(120)
    found = scenes.sets(world)
    for item in found:
        del item["metadata"]["annotations"]
        item["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    family = scenes.families.of(scenes.rollout(world), found, ())
    chosen = chronicle.target(family, "")
    template, is_same = chronicle.template(chosen)
    assert is_same is False
    assert template["metadata"] == gen.template("shop:v1")["metadata"]
    assert "new revision" in " ".join(undo.told(family, chosen, is_same=is_same))
    assert family.label(chosen.hash) == f"revision {chosen.hash}"


def test_the_engine_numbers_revisions_and_keeps_their_text() -> None:
    """Whoever was there first keeps its number when it comes back."""
    world = third()
    world.image("shop:v1")
    world.run(120)
    numbers = {item.hash: item.number for item in world.sets.values()}
    assert numbers == {gen.revision(f"shop:v{number}"): number for number in (1, 2, 3)}


def test_a_template_without_end_is_not_kept_twice() -> None:
    world = scenes.completed()
    rollout = scenes.families.of(scenes.rollout(world), (), ()).rollout
    large = {**gen.template("shop:v1"), "spec": {"x": "y" * revisions.LARGEST}}
    notes = revisions.replica_set(rollout, "h", 1, "stable", large)["metadata"]["annotations"]
    assert notes == {names.REVISION_ANNOTATION: "1"}
