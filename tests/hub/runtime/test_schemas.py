"""What a member's CRD declares is read once for all who publish the same, and never on a lie."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from fleet import turns
from fleet.api.names import CRDS, ROLLOUTS
from fleet.errors import FleetError, Forbidden, Unreachable
from fleet.hub.core.cluster import schema
from fleet.hub.runtime import membership, schemas
from fleet.hub.runtime.links import Definitions, Link
from fleet.kit import documents
from tests import trees
from tests.hub import gen
from tests.hub.runtime.desk import Desk, config

ROOT = Path(__file__).parents[3]
CRD: dict[str, Any] = dict(documents.one((ROOT / "crds/rollouts.yaml").read_text()))
OURS = schema.fields(CRD, ROLLOUTS.version)
INDEX = "/openapi/v3"


def without(field: str) -> dict[str, Any]:
    """The CRD as it was before that field of `spec` came."""
    older = trees.clone(CRD)
    for version in older["spec"]["versions"]:
        del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][field]
    return older


def document(crd: dict[str, Any]) -> bytes:
    """What an API server publishes about it, in short."""
    return published(schema.declared(crd, ROLLOUTS.version))


def published(spec: Any) -> bytes:
    """The same of a schema of `spec`."""
    kind = {"group": "kulta.io", "kind": "Rollout", "version": "v1beta1"}
    rollout = {"properties": {"spec": spec}, "x-kubernetes-group-version-kind": [kind]}
    schemas = {"io.k8s.Time": {"type": "string"}, "io.kulta.v1beta1.Rollout": rollout}
    return orjson.dumps({"openapi": "3.0.0", "components": {"schemas": schemas}})


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def met(desk: Desk, name: str) -> Link:
    """The hub meets that member."""
    await membership.reconcile(desk.hub, desk.register(name))
    return desk.link(name)


def equip(desk: Desk, name: str, crd: dict[str, Any]) -> None:
    desk.member(name).seed(CRDS, crd)


def looks(desk: Desk, name: str) -> int:
    """How often its CRD itself was read."""
    return sum((call.verb, call.kind) == ("get", CRDS.kind) for call in desk.member(name).calls)


async def test_of_members_that_publish_the_same_one_is_asked(desk: Desk) -> None:
    for name in ("eu-1", "eu-2", "eu-3"):
        equip(desk, name, CRD)
        desk.member(name).publish(document(CRD))
    found = [await met(desk, name) for name in ("eu-1", "eu-2", "eu-3")]
    assert [looks(desk, name) for name in ("eu-1", "eu-2", "eu-3")] == [1, 0, 0]
    assert found[0].fields == OURS
    assert all(link.fields is found[0].fields for link in found), "held once"


async def test_who_publishes_something_else_has_its_own(desk: Desk) -> None:
    older = without("strategy")
    for name, crd in (("eu-1", CRD), ("eu-2", older), ("eu-3", older)):
        equip(desk, name, crd)
        desk.member(name).publish(document(crd))
    assert (await met(desk, "eu-1")).fields == OURS
    for name, times in (("eu-2", 1), ("eu-3", 0)):
        assert (await met(desk, name)).fields == schema.fields(older, ROLLOUTS.version)
        assert looks(desk, name) == times


async def test_a_lie_about_what_is_published_harms_nobody_else(desk: Desk) -> None:
    """One that gives another text under the name of ours, and then one that is honest."""
    good, older = document(CRD), without("strategy")
    liar, honest, next_one = (desk.member(name) for name in ("eu-1", "eu-2", "eu-3"))
    honest.publish(good)
    next_one.publish(good)
    digest = hashlib.sha512(good).hexdigest().upper()
    equip(desk, "eu-1", older)
    liar.publish(document(older), digest)
    assert (await met(desk, "eu-1")).fields == schema.fields(older, ROLLOUTS.version)
    for name in ("eu-2", "eu-3"):
        equip(desk, name, CRD)
        assert (await met(desk, name)).fields == OURS
    assert [looks(desk, name) for name in ("eu-1", "eu-2", "eu-3")] == [1, 1, 0]


async def test_a_publication_that_is_behind_its_crd_is_not_believed(desk: Desk) -> None:
    """The CRD was brought up to date a moment ago; the text is still the old one."""
    for name in ("eu-1", "eu-2"):
        equip(desk, name, CRD)
        desk.member(name).publish(document(without("strategy")))
        assert (await met(desk, name)).fields == OURS
    assert looks(desk, "eu-2") == 1


async def test_a_lack_is_never_believed_without_a_look_at_the_crd(desk: Desk) -> None:
    older = without("strategy")
    for name in ("eu-1", "eu-2"):
        equip(desk, name, older)
        desk.member(name).publish(document(older))
        await met(desk, name)
    equip(desk, "eu-2", CRD)
    link = desk.link("eu-2")
    assert "spec.strategy" not in link.fields
    item = gen.item("eu-2")
    assert await schemas.learn_again(desk.hub, item), "at once, however late it was met"
    assert link.fields == OURS
    assert not await schemas.learn_again(desk.hub, item), "and then not at each look"


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(None, id="no index"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"paths": {}}', id="nothing of ours"),
        pytest.param(b'{"paths": {"apis/kulta.io/v1beta1": "x"}}', id="no address"),
        pytest.param(
            b'{"paths": {"apis/kulta.io/v1beta1": {"serverRelativeURL": "/openapi/v3/x"}}}',
            id="no digest",
        ),
        pytest.param(
            b'{"paths": {"apis/kulta.io/v1beta1": {"serverRelativeURL": "//[x?hash=1"}}}',
            id="an address that is none",
        ),
    ],
)
async def test_without_an_index_the_crd_is_read(desk: Desk, index: bytes | None) -> None:
    for name in ("eu-1", "eu-2"):
        equip(desk, name, CRD)
        if index is not None:
            desk.member(name).texts[INDEX] = index
        assert (await met(desk, name)).fields == OURS
        assert looks(desk, name) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"components": {"schemas": {"a": 1, "b": {}}}}', id="no kinds"),
        pytest.param(
            b'{"components": {"schemas": {"a": {"x-kubernetes-group-version-kind": [1]}}}}',
            id="a kind that is none",
        ),
        pytest.param(
            b'{"components": {"schemas": {"a": {"x-kubernetes-group-version-kind": '
            b'[{"kind": "Rollout"}]}}}}',
            id="no fields",
        ),
        pytest.param(published({"properties": ["a"]}), id="fields that are a list"),
        pytest.param(published({"properties": {"a": 3}}), id="a field that is a number"),
        pytest.param(
            orjson.dumps({"openapi": "3.0.0"})[:-1]
            + b', "components": '
            + b'{"a":' * 2_000
            + b"1"
            + b"}" * 2_001,
            id="nested without an end",
        ),
    ],
)
async def test_a_text_that_makes_no_sense_is_not_kept(desk: Desk, text: bytes) -> None:
    for name in ("eu-1", "eu-2"):
        equip(desk, name, CRD)
        desk.member(name).publish(text)
        assert (await met(desk, name)).fields == OURS
        assert looks(desk, name) == 1


@pytest.mark.parametrize(
    "error", [Forbidden("GET /openapi/v3"), Unreachable("GET /openapi/v3: 503")]
)
async def test_a_refused_index_keeps_nobody_out(desk: Desk, error: FleetError) -> None:
    """Some administrators take that right away from accounts; some extension breaks it."""
    equip(desk, "eu-1", CRD)
    desk.member("eu-1").texts[INDEX] = error
    assert (await met(desk, "eu-1")).fields == OURS
    assert desk.link("eu-1").uid == "uid-of-eu-1"


def test_of_members_that_are_met_together_one_is_asked_for_the_text() -> None:
    definitions = Definitions()
    with definitions.asking("a") as first, definitions.asking("a") as second:
        assert (first, second) == (True, False)
        with definitions.asking("b") as other:
            assert other
        with definitions.asking("a") as third:
            assert not third, "the first is still at it"
    with definitions.asking("a") as again:
        assert again, "it may have failed"


async def test_what_all_who_are_met_would_read_goes_before_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, reads = turns.Line(), list[str]()

    async def learn(_: object, link: Link) -> None:
        await line.turn()
        reads.append(link.key[1])
        link.fields = OURS

    async def other() -> None:
        await line.turn()
        reads.append("another")

    for name in ("eu-1", "eu-2"):
        desk.member(name).publish(document(CRD))
        link = desk.hub.links.make(desk.register(name))
        link.handle = await desk.supervisor.engage(membership.name(link.key), config())
    monkeypatch.setattr(schemas, "learn", learn)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(other())
        for name in ("eu-1", "eu-2"):
            tasks.create_task(schemas.meet(desk.hub, desk.link(name)))
    assert reads == ["eu-1", "another", "another", "another", "eu-2"]
