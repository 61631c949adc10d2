"""What is in a member is read without trust: any part may be missing, or something else."""

from typing import Any

import pytest

from fleet.api.names import APPLIED_ANNOTATION, HOLD_MANAGER, ROLLOUTS
from fleet.hub.core.cluster import live
from fleet.hub.core.cluster.live import Live
from fleet.hub.core.observed import DispatchObserved
from tests.hub.place import NEW, objects, rendered, settled


def whole() -> dict[str, Any]:
    return {
        "metadata": {
            "name": "checkout",
            "namespace": "shop",
            "uid": "u-1",
            "resourceVersion": "7",
            "deletionTimestamp": "2026-11-20T12:00:00Z",
            "annotations": {APPLIED_ANNOTATION: "d1gest"},
            "managedFields": [
                {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:hold": {}}}},
                {"manager": HOLD_MANAGER, "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"fieldsV1": {"f:spec": {"f:hold": {}}}},
                None,
            ],
        },
        "spec": {
            "hold": {"reason": "by hand"},
            "dispatch": {"hub": "hub-1", "sequence": 7, "released": True},
        },
    }


READERS = {
    "digest": live.digest,
    "sequence": live.sequence,
    "hold": live.hold,
    "holders": live.holders,
    "foreign_hold": live.foreign_hold,
    "is_released": live.is_released,
    "version": live.version,
    "key": live.key,
    "uid": live.uid,
    "is_going": live.is_going,
}
NOTHING = {
    "digest": "",
    "sequence": 0,
    "hold": "",
    "holders": (),
    "foreign_hold": "",
    "is_released": False,
    "version": "",
    "key": ("", ""),
    "uid": "",
    "is_going": False,
}


def test_what_is_read_of_an_object() -> None:
    assert {name: read(whole()) for name, read in READERS.items()} == {
        "digest": "d1gest",
        "sequence": 7,
        "hold": "by hand",
        "holders": ("kubectl", "?"),
        "foreign_hold": "kubectl, ?",
        "is_released": True,
        "version": "7",
        "key": ("shop", "checkout"),
        "uid": "u-1",
        "is_going": True,
    }


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(None, id="none"),
        pytest.param({}, id="an empty one"),
        pytest.param({"metadata": {}, "spec": {}}, id="one that says nothing"),
        pytest.param({"metadata": "x", "spec": ["x"]}, id="parts of another shape"),
        pytest.param({"metadata": {"annotations": 1, "managedFields": None},
                      "spec": {"hold": 1, "dispatch": "x"}}, id="deeper parts of another shape"),
        pytest.param({"spec": {"dispatch": {"sequence": "7", "released": "true"}}},
                     id="values of another kind"),
    ],
)  # fmt: skip
def test_what_is_missing_is_read_as_nothing(manifest: Any) -> None:
    assert {name: read(manifest) for name, read in READERS.items()} == NOTHING


@pytest.mark.parametrize(
    ("dispatch", "other"),
    [
        pytest.param({"hub": "hub-2", "sequence": 1}, "hub-2", id="another hub's"),
        pytest.param({"hub": "hub-2", "released": True}, "", id="one that it has released"),
        pytest.param({"hub": "hub-1"}, "", id="ours"),
        pytest.param({}, "", id="nobody's"),
    ],
)
def test_whose_rollout_it_is(dispatch: dict[str, Any], other: str) -> None:
    assert live.other_hub({"spec": {"dispatch": dispatch}}, "hub-1") == other


def test_a_hold_of_ours_is_not_foreign() -> None:
    manifest = whole()
    manifest["metadata"]["managedFields"][1]["fieldsV1"] = {"f:spec": {"f:hold": {}}}
    assert live.foreign_hold(manifest) == ""


@pytest.mark.parametrize(
    ("looked", "main"),
    [
        pytest.param({"rendered": rendered()}, ("checkout", "checkout"), id="the rendered one"),
        pytest.param({}, ("", ""), id="where nothing names one"),
    ],
)
def test_which_rollout_a_wish_is_about(looked: dict[str, Any], main: tuple[str, str]) -> None:
    assert Live.of(NEW, DispatchObserved(member=None, **looked)).main == main


@pytest.mark.parametrize(
    ("namespaces", "main"),
    [
        pytest.param(("till", "checkout"), "checkout", id="that of the wish's namespace"),
        pytest.param(("checkout", "till"), "checkout", id="wherever it is listed"),
        pytest.param(("till",), "till", id="else the one that there is"),
    ],
)
def test_without_manifests_the_list_names_it(namespaces: tuple[str, ...], main: str) -> None:
    first, *_ = settled().status.inventory
    listed = tuple(first.model_copy(update={"namespace": name}) for name in namespaces)
    item = settled().model_copy(
        update={"status": settled().status.model_copy(update={"inventory": listed})}
    )
    assert Live.of(item, DispatchObserved(member=None)).main == (main, "checkout")


def test_the_watch_comes_before_a_look_up_and_keeps_no_pods() -> None:
    place = (ROLLOUTS.plural, "checkout", "checkout")
    watched, looked = {"spec": {}}, {"spec": {"template": {}}}
    both = Live(main=place[1:], rollouts={place[1:]: watched}, others={place: looked})
    assert (both.rollout, both.find(place), both.whole(place)) == (watched, watched, looked)
    service = ("services", "checkout", "checkout")
    assert both.find(service) is None, "a Rollout of that name is no Service"
    alone = Live(main=place[1:], rollouts={place[1:]: watched}, others=None)
    assert alone.whole(place) == watched
    there = Live(main=place[1:], rollouts={}, others=objects())
    assert [there.get(each) for each in rendered()] == list(objects().values())


def test_one_that_no_server_sends_is_refused() -> None:
    broken = whole()
    with pytest.raises(ValueError, match=r"^metadata\.managedFields has a NoneType$"):
        live.sound(broken)
    broken["metadata"]["managedFields"].pop()
    assert live.sound(broken) is broken
