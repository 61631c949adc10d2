"""Objects of the API server as the core sees them: what engines write on sets and pods."""

from typing import Any

import pytest

from fleet.api import names
from fleet.kulta.runtime import decode

SET: dict[str, Any] = {"metadata": {"name": "web-1", "namespace": "shop", "uid": "u"}, "spec": {}}
POD: dict[str, Any] = {"metadata": {"name": "web-1-x", "namespace": "shop", "uid": "p"}}


def with_notes(manifest: dict[str, Any], **notes: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": notes}}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("7", 7, id="a number"),
        pytest.param("", 0, id="none"),
        pytest.param("-1", 0, id="a number that is none of ours"),
        pytest.param("seven", 0, id="a word"),
        pytest.param("9" * 5_000, 0, id="a number without end"),
    ],
)
def test_the_number_of_a_revision_is_read_or_zero(text: str, number: int) -> None:
    found = decode.replica_set(with_notes(SET, **{names.REVISION_ANNOTATION: text}))
    assert found.value.number == number


def test_a_set_of_an_older_engine_has_no_number() -> None:
    assert decode.replica_set(SET).value.number == 0


@pytest.mark.parametrize(
    ("conditions", "failure"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([{"type": "Other", "status": "True", "message": "x"}], "", id="another word"),
        pytest.param(
            [{"type": "ReplicaFailure", "status": "False", "message": "x"}], "", id="over again"
        ),
        pytest.param(
            [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}],
            "exceeded quota",
            id="why",
        ),
        pytest.param(
            [{"type": "ReplicaFailure", "status": "True", "message": "denied: token=abc"}],
            "denied: token=…",
            id="why, without credentials",
        ),
    ],
)
def test_what_keeps_a_set_from_its_pods_is_read(
    conditions: list[dict[str, Any]], failure: str
) -> None:
    found = decode.replica_set({**SET, "status": {"conditions": conditions}})
    assert found.value.failure == failure


@pytest.mark.parametrize(
    ("cost", "leaving"),
    [
        pytest.param("-1000", True, id="our mark"),
        pytest.param("5", False, id="somebody's own cost"),
    ],
)
def test_a_pod_that_is_to_be_replaced_is_known_by_our_mark(cost: str, leaving: bool) -> None:
    found = decode.pod(with_notes(POD, **{names.LEAVING_ANNOTATION: cost}))
    assert found.value.leaving is leaving
    assert decode.pod(POD).value.leaving is False


def container(
    waits_for: str = "", restarts: int = 0, image: str = "shop:v2", **more: Any
) -> dict[str, Any]:
    """The state of one that is not ready."""
    state = {"waiting": {"reason": waits_for}} if waits_for else {"running": {}}
    return {"state": state, "restartCount": restarts, "image": image, "ready": False, **more}


DONE = container(restarts=1, ready=True)
UNPLACED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
READY = {"type": "Ready", "status": "True"}
UNREADY = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-03-01T10:00:00Z"}
IMAGE = ("ImagePullBackOff", "shop:v2")
CRASH = ("CrashLoopBackOff", "")


def ran(since: str, until: str = "", code: int = 1) -> dict[str, Any]:
    """The life of a container, of that morning; it ends with a crash, or is not over."""
    began = {"startedAt": f"2026-03-01T{since}Z"}
    if not until:
        return {"running": began}
    return {"terminated": {**began, "finishedAt": f"2026-03-01T{until}Z", "exitCode": code}}


LOST = {
    "terminated": {
        "reason": "ContainerStatusUnknown",
        "exitCode": 137,
        "startedAt": None,
        "finishedAt": None,
    }
}
"""How a container ended whose node was started anew."""


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        pytest.param({}, ("", ""), id="nothing is known"),
        pytest.param(
            {"containerStatuses": [container("ContainerCreating")]}, ("", ""), id="in its beginning"
        ),
        pytest.param(
            {
                "initContainerStatuses": [container()],
                "containerStatuses": [container("PodInitializing")],
            },
            ("", ""),
            id="its first container is at work",
        ),
        pytest.param({"containerStatuses": [container()]}, ("", ""), id="runs, not ready yet"),
        pytest.param(
            {"containerStatuses": [container("ErrImagePull")]}, IMAGE, id="no image, just asked"
        ),
        pytest.param(
            {"containerStatuses": [container("ImagePullBackOff")]}, IMAGE, id="no image, between"
        ),
        pytest.param(
            {"containerStatuses": [container("RegistryUnavailable")]}, IMAGE, id="no registry"
        ),
        pytest.param(
            {"containerStatuses": [container("ErrImageNeverPull")]},
            ("ErrImageNeverPull", "shop:v2"),
            id="no image on a node that may not ask for it",
        ),
        pytest.param(
            {"containerStatuses": [container("InvalidImageName", image="Shop:")]},
            ("InvalidImageName", "Shop:"),
            id="no name of an image",
        ),
        pytest.param(
            {"containerStatuses": [DONE, container("CreateContainerConfigError")]},
            ("CreateContainerConfigError", ""),
            id="no ConfigMap for the second",
        ),
        pytest.param(
            {"containerStatuses": [container("CreateContainerError")]},
            ("CreateContainerError", ""),
            id="it cannot be made",
        ),
        pytest.param(
            {"containerStatuses": [container("CrashLoopBackOff", 3)]}, CRASH, id="between crashes"
        ),
        pytest.param({"containerStatuses": [container(restarts=3)]}, CRASH, id="up after a crash"),
        pytest.param(
            {"containerStatuses": [container(restarts=2, state=ran("10:00:01", "10:00:09"))]},
            CRASH,
            id="it has just crashed again",
        ),
        pytest.param(
            {"containerStatuses": [container("ImagePullBackOff", 3)]},
            IMAGE,
            id="the image is gone after a crash",
        ),
        pytest.param(
            {
                "initContainerStatuses": [container("CrashLoopBackOff", 4)],
                "containerStatuses": [container("PodInitializing")],
            },
            CRASH,
            id="its first container crashes",
        ),
        pytest.param(
            {"initContainerStatuses": [DONE], "containerStatuses": [container("ErrImagePull")]},
            IMAGE,
            id="after its first container",
        ),
        pytest.param(
            {"phase": "Pending", "conditions": [UNPLACED]}, ("Unschedulable", ""), id="no place"
        ),
        pytest.param(
            {"conditions": [READY], "containerStatuses": [container(restarts=3)]},
            ("", ""),
            id="it is ready",
        ),
        pytest.param(
            {"phase": "Failed", "containerStatuses": [container(restarts=3)]},
            ("", ""),
            id="another takes its place",
        ),
    ],
)
def test_what_keeps_a_pod_from_being_ready_is_one_word(
    status: dict[str, Any], trouble: tuple[str, str]
) -> None:
    found = decode.pod({**POD, "status": status}).value
    assert (found.trouble, found.image) == trouble


@pytest.mark.parametrize(
    ("item", "crashes"),
    [
        pytest.param(container(restarts=1, state=ran("09:00:00")), False, id="its probe fails"),
        pytest.param(
            container(restarts=9, state=ran("09:00:00")), False, id="it ran, once at last"
        ),
        pytest.param(container(restarts=1, state=ran("10:00:01")), False, id="up after one crash"),
        pytest.param(
            container(restarts=1, state=ran("10:00:01", "10:00:09")), True, id="the second crash"
        ),
        pytest.param(
            container("CrashLoopBackOff", 1, lastState=ran("10:00:01", "10:00:09")),
            True,
            id="it waits after the second",
        ),
        pytest.param(
            container(restarts=2, state=ran("10:00:19"), lastState=ran("10:00:01", "10:00:09")),
            True,
            id="up after the second",
        ),
        pytest.param(
            container("", 2, state={"waiting": {}}, lastState=ran("10:00:19", "10:00:25")),
            True,
            id="it is being made for the third life",
        ),
        pytest.param(
            container("PodInitializing", 2, lastState=ran("09:55:00", "10:00:00")),
            False,
            id="on a node that was started anew",
        ),
        pytest.param(
            container(restarts=2, state=ran("08:00:00", "10:00:00")),
            False,
            id="a crash after a long life",
        ),
        pytest.param(
            container(restarts=3, state=ran("10:00:00"), lastState=ran("08:00:00", "10:00:00")),
            False,
            id="up after a crash after a long life",
        ),
        pytest.param(
            container(restarts=2, state=ran("10:00:19"), lastState=LOST),
            False,
            id="up on a node that was started anew",
        ),
        pytest.param(container(restarts=2, state=LOST), False, id="nobody knows how it ended"),
        pytest.param(
            container(restarts=2, state=ran("10:00:19", "10:00:25", code=0)),
            True,
            id="it ends by itself, and shall not",
        ),
    ],
)
def test_a_pod_is_in_a_crash_loop_only_while_it_crashes_again_and_again(
    item: dict[str, Any], crashes: bool
) -> None:
    """And in all of one: in the states between as well."""
    status = {"conditions": [UNREADY], "containerStatuses": [item]}
    found = decode.pod({**POD, "status": status}).value
    assert found.trouble == ("CrashLoopBackOff" if crashes else "")


OUT = ran("10:00:01", "10:00:09")
"""A short life."""
UP = container(restarts=2, state=ran("10:00:19"), lastState=OUT)
"""One that has crashed before; since when it is not ready, nobody says."""
LATER = container("PodInitializing")
AIDE = container(ready=True, state=ran("10:00:00"))
"""One of the first that runs beside all others."""


@pytest.mark.parametrize(
    ("firsts", "mains", "crashes"),
    [
        pytest.param(
            [
                container(
                    restarts=2, state=ran("10:00:19"), lastState=ran("09:00:00", "09:00:01", 0)
                )
            ],
            [LATER],
            False,
            id="the first is done, and runs again in a new sandbox",
        ),
        pytest.param([UP], [LATER], True, id="the first is up after the second crash"),
        pytest.param([DONE, UP, LATER], [LATER], True, id="one of the first is, after others"),
        pytest.param([DONE], [UP], True, id="the only one is, after the first"),
        pytest.param([AIDE], [UP], True, id="the only one is, beside one that is ready"),
        pytest.param([], [UP, container()], False, id="another may be what is not ready"),
        pytest.param([], [container(), UP], False, id="another before it may be"),
        pytest.param([], [UP, container(ready=True)], False, id="another may have been"),
        pytest.param([container()], [UP], False, id="one beside it may be"),
        pytest.param([UP], [container()], False, id="one beside all others has crashed before"),
        pytest.param(
            [], [container(), container(restarts=1, state=OUT)], True, id="one of two has ended"
        ),
        pytest.param(
            [], [container(), container("CrashLoopBackOff", 1)], True, id="one of two waits"
        ),
    ],
)
def test_that_a_pod_is_not_ready_is_held_against_a_container_only_if_it_is_the_only_one(
    firsts: list[dict[str, Any]], mains: list[dict[str, Any]], crashes: bool
) -> None:
    parts = {"initContainerStatuses": firsts, "containerStatuses": mains}
    found = decode.pod({**POD, "status": {"conditions": [UNREADY], **parts}}).value
    assert found.trouble == ("CrashLoopBackOff" if crashes else "")
