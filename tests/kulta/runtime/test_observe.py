"""Looking: what belongs to a Rollout, what its changes wake, what our own writes add at once."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from fleet.api import names
from fleet.api.names import Key
from fleet.api.rollout import Rollout
from fleet.clusters.client import Client
from fleet.clusters.watch import Informer
from fleet.kulta.core.observed import Observed
from fleet.kulta.runtime.observe import Observer
from tests.fakes import FakeKube
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import HASH, KEY


class Looking:
    """An observer that is fed by hand, and whom it woke."""

    def __init__(self, strategy: dict[str, Any] | None = None) -> None:
        self.woken: list[tuple[str, str]] = []
        self.later: list[tuple[str, str]] = []
        kube = cast(Client, FakeKube())
        self.observer = Observer(kube, self.woken.append, self.later.append)
        self.rollout = Rollout.parse(objects.rollout(strategy))
        self.version = 100

    def informer(self, kind: str) -> Informer[Any]:
        watched = self.observer
        return {
            "ReplicaSet": watched.replica_sets,
            "Pod": watched.pods,
            "Service": watched.services,
            "EndpointSlice": watched.slices,
            **{k: x.informer for k, x in watched.routes.kinds.items()},
        }[kind]

    def see(self, *manifests: Mapping[str, Any]) -> None:
        for manifest in manifests:
            self.version += 1
            meta = {**manifest["metadata"], "resourceVersion": str(self.version)}
            self.informer(manifest["kind"]).store.see({**manifest, "metadata": meta})

    def lose(self, manifest: Mapping[str, Any]) -> None:
        meta = {**manifest["metadata"], "resourceVersion": str(self.version)}
        self.informer(manifest["kind"]).store.end({**manifest, "metadata": meta})

    def look(self) -> Observed:
        return self.observer.observe(self.rollout, {})


def test_sets_and_pods_of_this_life_of_the_rollout_are_seen() -> None:
    looking = Looking()
    looking.see(
        objects.replica_set(),
        objects.replica_set("bbbbbbbbbb", owner="an-earlier-life"),
        objects.pod("mine"),
        objects.pod("not-mine", "bbbbbbbbbb"),
        objects.pod("leaving", deletionTimestamp="2026-11-20T12:00:00Z"),
    )
    seen = looking.look()
    assert [item.hash for item in seen.replica_sets] == [HASH]
    assert [(item.name, item.deleting) for item in seen.pods] == [
        ("leaving", True),
        ("mine", False),
    ]


def test_services_slices_and_routes_that_the_strategy_names_are_seen() -> None:
    looking = Looking(objects.CANARY)
    looking.see(
        objects.service(),
        objects.service("somebody-elses"),
        objects.endpoint_slice("checkout-1", "p1", "p2"),
        objects.endpoint_slice("checkout-2", "p3"),
        objects.endpoint_slice("checkout-3", "p4", ready=False),
        objects.endpoint_slice("checkout-4", "p5", ready=None),
        objects.route(),
        objects.route("another"),
    )
    seen = looking.look()
    assert set(seen.services) == {"checkout"}
    assert seen.endpoints == {
        "checkout": frozenset({"p1", "p2", "p3", "p5"}),
        "checkout-canary": frozenset(),
    }
    assert set(seen.routes) == {("HTTPRoute", "checkout")}
    assert "managedFields" not in seen.routes["HTTPRoute", "checkout"]["metadata"]


def test_a_service_that_is_no_longer_named_is_seen_until_it_is_restored() -> None:
    looking = Looking()
    kept = {names.ORIGINAL_SELECTOR: '{"app":"checkout"}'}
    ours = {"app": "checkout", names.ROLLOUT_LABEL: "checkout", names.HASH_LABEL: HASH}
    looking.see(objects.service("old", ours, annotations=kept))
    assert looking.look().services["old"].original == {"app": "checkout"}
    looking.see(objects.service("old", {"app": "checkout"}))
    assert looking.look().services == {}


@pytest.mark.parametrize("text", ["not json", '["a"]'])
def test_a_broken_annotation_is_an_empty_selector(text: str) -> None:
    looking = Looking(objects.CANARY)
    looking.see(objects.service(annotations={names.ORIGINAL_SELECTOR: text}))
    assert looking.look().services["checkout"].original == {}


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(objects.replica_set(), id="a set"),
        pytest.param(objects.pod("p1"), id="a pod"),
        pytest.param(objects.service(), id="the stable Service"),
        pytest.param(objects.service("checkout-canary"), id="the canary Service"),
        pytest.param(objects.endpoint_slice("checkout-1", "p1"), id="a slice"),
        pytest.param(objects.route(), id="the route"),
    ],
)
def test_a_change_wakes_the_rollout(manifest: dict[str, Any]) -> None:
    looking = Looking(objects.CANARY)
    looking.look()
    looking.see(manifest)
    assert looking.woken == [KEY]
    looking.lose(manifest)
    assert (looking.woken, looking.later) == ([KEY, KEY], [])


LEAVING = objects.pod("p1", deletionTimestamp="2026-11-20T12:00:00Z")
CRASHED = objects.pod("p1", ready=False)


@pytest.mark.parametrize("change", [LEAVING, CRASHED])
@pytest.mark.parametrize(
    ("others", "woken"),
    [
        pytest.param([objects.replica_set(replicas=1)], [], id="one of two where one is wanted"),
        pytest.param([objects.replica_set(replicas=2)], [KEY], id="one that is missed"),
        pytest.param([], [KEY], id="one of a set that is not known"),
        pytest.param(
            [objects.replica_set(replicas=2), objects.pod("p3", owner="an-earlier-life")],
            [KEY],
            id="one whose place only a pod of another life could take",
        ),
    ],
)
def test_a_pod_that_ceases_to_serve(
    change: dict[str, Any], others: list[dict[str, Any]], woken: list[Key]
) -> None:
    """At once where it is missed; nobody is told of one that its set let go."""
    looking = Looking()
    looking.see(*others, objects.pod("p1"), objects.pod("p2"))
    looking.woken.clear()
    looking.see(change)
    assert (looking.woken, looking.later) == (woken, [])


def test_of_several_that_cease_to_serve_the_first_that_is_missed_is_news() -> None:
    looking = Looking()
    looking.see(objects.replica_set(replicas=2))
    looking.see(*(objects.pod(name) for name in ("p1", "p2", "p3")))
    looking.woken.clear()
    looking.see(objects.pod("p3", ready=False))
    assert looking.woken == []
    looking.see(LEAVING)
    assert looking.woken == [KEY]


def test_a_set_whose_last_pod_is_gone_is_news() -> None:
    looking = Looking()
    looking.see(objects.replica_set(replicas=0, ready=1))
    looking.woken.clear()
    looking.see(objects.replica_set(replicas=0, ready=0))
    assert (looking.woken, looking.later) == ([KEY], [])


def refused(why: str) -> dict[str, Any]:
    """A set whose pods cannot be made."""
    told = {"type": "ReplicaFailure", "status": "True", "message": why}
    made = objects.replica_set()
    return {**made, "status": {**made["status"], "conditions": [told]}}


def test_that_pods_cannot_be_made_is_news_and_in_other_words_it_is_not() -> None:
    looking = Looking()
    looking.see(objects.replica_set())
    looking.woken.clear()
    looking.see(refused('pods "checkout-x" is forbidden: exceeded quota'))
    assert looking.woken == [KEY]
    looking.see(refused('pods "checkout-y" is forbidden: exceeded quota'))
    assert looking.woken == [KEY]
    looking.see(objects.replica_set())
    assert looking.woken == [KEY, KEY]


RELABELLED = {"labels": objects.labels(role="canary")}


@pytest.mark.parametrize(
    ("resource", "before", "answer", "urgent"),
    [
        pytest.param(names.REPLICASETS, None, objects.replica_set(), False, id="a set is made"),
        pytest.param(
            names.REPLICASETS,
            objects.replica_set(ready=2),
            objects.replica_set(ready=2, replicas=3),
            False,
            id="a set is scaled",
        ),
        pytest.param(
            names.REPLICASETS,
            objects.replica_set(replicas=1, ready=0),
            objects.replica_set(replicas=0, ready=0),
            True,
            id="a set is scaled to nothing and had nothing",
        ),
        pytest.param(
            names.REPLICASETS,
            objects.replica_set(),
            refused("exceeded quota"),
            True,
            id="a set is scaled whose pods cannot be made",
        ),
        pytest.param(
            names.PODS,
            objects.pod("p1"),
            objects.pod("p1", **RELABELLED),
            False,
            id="a pod is relabelled",
        ),
        pytest.param(
            names.PODS,
            objects.pod("p1"),
            objects.pod("p1", ready=False, **RELABELLED),
            True,
            id="a pod is relabelled that has crashed",
        ),
        pytest.param(
            names.PODS,
            objects.pod("p1", ready=False),
            objects.pod("p1", **RELABELLED),
            True,
            id="a pod is relabelled that has become ready",
        ),
    ],
)
def test_the_answer_to_an_own_write_can_wait_unless_it_tells_more(
    resource: names.Resource,
    before: dict[str, Any] | None,
    answer: dict[str, Any],
    urgent: bool,
) -> None:
    """The watch is silent about what the answer told."""
    looking = Looking()
    looking.see(*filter(None, [before]))
    looking.woken.clear()
    told = {**answer, "metadata": {**answer["metadata"], "resourceVersion": "500"}}
    looking.observer.remember(resource, told)
    looking.informer(answer["kind"]).store.see(told)
    assert (looking.woken, looking.later) == (([KEY], []) if urgent else ([], [KEY]))


def test_what_we_have_asked_for_cannot_wait() -> None:
    looking = Looking()
    looking.observer.remember(names.REPLICASETS, objects.replica_set(), is_ours=False)
    assert (looking.woken, looking.later) == ([KEY], [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(objects.pod("p1"), objects.pod("p1"), id="a pod's heartbeat"),
        pytest.param(objects.replica_set(), objects.replica_set(), id="a set without news"),
        pytest.param(
            objects.replica_set(ready=1), objects.replica_set(ready=2), id="a set's count of pods"
        ),
        pytest.param(
            objects.pod("p1", ready=False),
            objects.pod("p1", ready=False, deletionTimestamp="2026-11-20T12:00:00Z"),
            id="the end of a pod that was not ready",
        ),
        pytest.param(
            objects.service(), objects.service(annotations={"team": "a"}), id="a Service's label"
        ),
        pytest.param(
            objects.endpoint_slice("s", "p1"), objects.endpoint_slice("s", "p1"), id="a slice"
        ),
        pytest.param(
            objects.service("other"),
            objects.service("other", {"app": "x"}),
            id="somebody else's Service",
        ),
    ],
)
def test_what_does_not_matter_wakes_nobody(before: dict[str, Any], after: dict[str, Any]) -> None:
    looking = Looking(objects.CANARY)
    looking.look()
    looking.see(before)
    looking.woken.clear()
    looking.see(after)
    assert looking.woken == []


def test_a_pod_that_is_not_ready_wakes_nobody_until_it_is() -> None:
    looking = Looking()
    looking.see(objects.pod("p1", ready=False))
    assert looking.woken == []
    looking.see(objects.pod("p1"))
    assert looking.woken == [KEY]


def test_another_trouble_of_a_pod_is_news_and_the_same_again_is_none() -> None:
    """From its beginning, through a try to get the image again, to its being ready, and its end."""
    words = ("ContainerCreating", "ErrImagePull", "ImagePullBackOff", "ErrImagePull")
    looking, woken = Looking(), []
    for word in (*words, "CreateContainerConfigError", "ContainerCreating", "", "ErrImagePull"):
        looking.see(objects.pod("p1", ready=not word, waits_for=word))
        woken.append(len(looking.woken))
        looking.woken.clear()
    assert woken == [0, 1, 0, 0, 1, 1, 1, 1]
    gone = objects.pod("p1", ready=False, deletionTimestamp="2026-11-20T12:00:00Z")
    looking.see(gone)
    looking.lose(gone)
    assert (looking.woken, looking.later) == ([], [])


def test_a_rollout_that_is_gone_is_not_woken_by_services() -> None:
    looking = Looking(objects.CANARY)
    looking.look()
    looking.observer.forget(KEY)
    looking.see(objects.service(), objects.route())
    assert looking.woken == []


def test_a_lost_set_makes_us_doubt_that_the_rollout_is_there() -> None:
    looking = Looking()
    looking.see(objects.replica_set())
    looking.lose(objects.replica_set())
    assert looking.observer.bereaved == {KEY}


def test_a_set_that_we_removed_is_not_seen_and_raises_no_doubt() -> None:
    looking = Looking()
    looking.see(objects.replica_set())
    looking.observer.removed(objects.replica_set()["metadata"]["uid"])
    assert looking.look().replica_sets == ()
    looking.lose(objects.replica_set())
    assert looking.observer.bereaved == set()


def test_an_own_write_is_seen_before_the_watch_tells() -> None:
    looking = Looking()
    looking.observer.remember(names.REPLICASETS, objects.replica_set(replicas=7))
    assert looking.look().replica_sets[0].replicas == 7


def test_a_route_whose_weights_are_kept_for_it_is_seen_until_they_are_given_back() -> None:
    """Though the strategy names another one by now, or none."""
    looking = Looking()
    record = {"stable": "checkout", "canary": "checkout-canary", "port": 80, "weights": [[100, 0]]}
    kept = {names.ORIGINAL_WEIGHTS: json.dumps({"checkout": record})}
    looking.see(objects.route("before", annotations=kept), objects.route("unrelated"))
    assert list(looking.look().routes) == [("HTTPRoute", "before")]
    looking.see(objects.route("before", resourceVersion="51"))
    assert list(looking.look().routes) == []
