"""Equal parts are kept once, and nobody can tell."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import ClusterRolloutSpec
from fleet.api.meta import Model, Object
from fleet.api.sharing import Shared
from fleet.errors import UserError
from tests.hub import gen

parse = ClusterRollout.parse


def manifest(name: str, **status: Any) -> dict[str, Any]:
    body = gen.item(name, **status).manifest()
    condition = {"type": "Reachable", "status": "True", "reason": "Reachable"}
    body["status"]["conditions"] = [{**condition, "lastTransitionTime": "2026-11-20T12:00:00Z"}]
    return body


def test_of_many_objects_only_what_differs_is_new() -> None:
    shared = Shared()
    east, west = (shared.parse(ClusterRollout, manifest(name, good=1)) for name in ("east", "west"))
    assert (east.metadata, east.spec) != (west.metadata, west.spec)
    assert east.status.last_good is west.status.last_good
    for one, other in (
        (east, west),
        (east.metadata, west.metadata),
        (east.spec.want, west.spec.want),
        (east.status, west.status),
        (east.status.conditions[0], west.status.conditions[0]),
    ):
        assert one.__pydantic_fields_set__ is other.__pydantic_fields_set__


def test_what_is_shared_is_what_was_given() -> None:
    shared = Shared()
    for name in ("east", "west", "east"):
        item, alone = shared.parse(ClusterRollout, manifest(name)), manifest(name)
        assert item == ClusterRollout.parse(alone)
        assert item.manifest() == ClusterRollout.parse(alone).manifest()


def test_what_is_alike_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, read = Shared(), []
    monkeypatch.setattr(ClusterRollout, "parse", lambda body: read.append(body) or parse(body))
    for name in ("east", "west"):
        found = shared.parse(ClusterRollout, manifest(name, good=1))
        assert found == parse(manifest(name, good=1))
        assert "last_good" in found.status.model_fields_set
    assert ["lastGood" in body["status"] for body in read] == [True, False]


def test_who_differs_only_in_what_is_alike_differs() -> None:
    shared, phases = Shared(), ("Progressing", "Paused", "Completed")
    bodies = [manifest(f"eu-{phase.lower()}") for phase in phases]
    for body, phase in zip(bodies, phases, strict=True):
        body["status"]["engine"] = {"phase": phase}
    for _ in range(4):
        found = [shared.parse(ClusterRollout, body) for body in bodies]
        assert found == [parse(body) for body in bodies]
        assert [item.manifest() for item in found] == [parse(body).manifest() for body in bodies]


@pytest.mark.parametrize("engine", ["none", ["none"], {"weight": "much"}])
def test_what_makes_no_sense_is_refused_each_time(engine: Any) -> None:
    shared = Shared()
    broken = manifest("east")
    broken["status"]["engine"] = engine
    for _ in range(2):
        with pytest.raises(UserError, match=r"status\.engine"):
            shared.parse(ClusterRollout, broken)
    shared.parse(ClusterRollout, manifest("east"))


def test_who_gave_what_is_parsed_keeps_it_as_it_was() -> None:
    shared, given = Shared(), manifest("east", good=1)
    for _ in range(2):
        shared.parse(ClusterRollout, given)
        assert given == manifest("east", good=1)


def test_a_copy_that_is_changed_changes_nobody_else() -> None:
    shared = Shared()
    east, west = (shared.parse(ClusterRollout, manifest(name, good=1)) for name in ("east", "west"))
    moved = east.status.model_copy(update={"message": "moved"})
    assert (moved.message, west.status.message) == ("moved", "")
    assert "message" not in west.status.model_fields_set
    gone = east.status.last_good.model_copy(update={"run": "other"})
    assert gone.run != west.status.last_good.run == east.status.last_good.run


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"a": {"b": [1]}}, {"a": {"b": [1]}}, True, id="equal"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": True}}, False, id="a number and a truth"),
        pytest.param(
            {"a": {"b": 1}}, {"a": {"b": 1.0}}, False, id="a whole number and one with .0"
        ),
        pytest.param({"a": {"b": "1"}}, {"a": {"b": 1}}, False, id="a text and a number"),
        pytest.param({"a": {"b": {}}}, {"a": {"b": []}}, False, id="an object and a list"),
        pytest.param({"a": {"b": 1}}, {"a": {"c": 1}}, False, id="another name"),
        pytest.param({"a": {}}, {"a": {"b": None}}, False, id="nothing and a null"),
    ],
)
def test_parts_of_json(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    shared = Shared()
    kept = [shared.manifest({"metadata": value})["metadata"] for value in (one, other)]
    assert kept == [one, other]
    assert repr(kept) == repr([one, other])
    assert (kept[0]["a"] is kept[1]["a"]) is same


def test_a_number_beyond_all_bounds_is_nobody_elses_null() -> None:
    shared = Shared()
    shared.manifest({"spec": {"pause": None}})
    for part in ({"pause": math.inf}, [{"pause": -math.inf}]):
        with pytest.raises(ValueError, match="bounds"):
            shared.manifest({"spec": part})


def test_a_whole_number_that_is_too_large_is_what_it_is_elsewhere() -> None:
    """As an API server writes the float 1e20."""
    shared = Shared()
    for _ in range(2):
        kept = shared.manifest({"spec": {"max": 10**20}})
        assert repr(kept) == repr({"spec": {"max": 1e20}})


def test_what_metadata_has_for_itself_hinders_nothing_beside_it() -> None:
    """Names, times and uids are in each object."""
    shared = Shared()

    def kept(number: int) -> Any:
        part = {"uid": f"number {number}", "labels": {"app": "shop"}, "list": [{"of": ["all"]}]}
        return shared.manifest({"metadata": part})["metadata"]

    one, other = (kept(number) for number in range(2))
    assert one["uid"] != other["uid"]
    assert one["labels"] is other["labels"]
    assert one["list"] is other["list"]


def test_who_gave_a_manifest_keeps_it_as_it_was() -> None:
    shared = Shared()
    shared.manifest({"spec": {"part": {"of": "all"}}})
    given = {"spec": {"part": {"of": "all"}}}
    part = given["spec"]["part"]
    kept = shared.manifest(given)
    assert given["spec"]["part"] is part
    part["of"] = "mine"
    assert kept == {"spec": {"part": {"of": "all"}}}


def test_what_is_remembered_is_bounded() -> None:
    shared = Shared(kept_bytes=500)
    first = shared.manifest({"part": {"of": "all"}})
    for number in range(200):
        shared.manifest({"part": {"of": f"number {number}"}})
        assert sum(map(len, shared._texts)) <= 600
    assert shared.manifest({"part": {"of": "all"}}) == first


class Plain(Model):
    """Another idea of what an engine says."""

    phase: str = ""


class PlainStatus(Model):
    engine: Plain = Plain()


class Other(Object[ClusterRolloutSpec, PlainStatus]):
    """A kind that names a part as another one does."""

    ALIKE = (("status", "engine"),)
    status: PlainStatus = PlainStatus()


def test_the_same_words_in_another_kind_are_something_else() -> None:
    shared, body = Shared(), manifest("east")
    body["status"]["engine"] = {"phase": "Completed"}
    for _ in range(2):
        for kind in (ClusterRollout, Other):
            assert shared.parse(kind, body) == kind.parse(body)


STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from(("Pending", "Succeeded")),
        "engine": st.fixed_dictionaries(
            {"weight": st.sampled_from((0, 1, 400))}, optional={"phase": st.sampled_from("ab")}
        ),
        "dispatch": st.fixed_dictionaries({"run": st.sampled_from("ab")}),
        "lastGood": st.sampled_from(({}, {"run": "a"}, {"run": "a", "revision": "b"})),
        "previousGood": st.sampled_from(({}, {"run": "a"}, {"run": "a", "revision": "b"})),
    },
)


@given(st.lists(STATUSES, min_size=2, max_size=12), st.integers(0, 12))
def test_whatever_comes_is_what_it_is_alone_and_stays_so(
    statuses: list[dict[str, Any]], kept: int
) -> None:
    """Few words, so that nearly everything is like something else."""
    shared = Shared(kept_bytes=kept * 20)
    bodies = [{**manifest("east"), "status": status} for status in statuses * 2]
    found = [shared.parse(ClusterRollout, body) for body in bodies]
    for item, body in zip(found, bodies, strict=True):
        assert item == parse(body)
        assert item.manifest() == parse(body).manifest()
