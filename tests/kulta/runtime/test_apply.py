"""Carrying out: each action's request, what absence and conflicts mean, what is remembered."""

from typing import Any, cast

import pytest

from fleet.api import names
from fleet.api.names import Key
from fleet.api.rollout import Phase, RolloutStatus
from fleet.clusters.client import Client
from fleet.errors import Conflict, Forbidden, Invalid, UserError
from fleet.kulta.core import actions
from fleet.kulta.core.actions import Action
from fleet.kulta.core.routers import ROUTERS, Backends
from fleet.kulta.runtime.apply import Outcome, Turn, Vanished, World
from fleet.kulta.runtime.observe import Observer
from fleet.kulta.runtime.rollouts import Rollouts
from tests import gen
from tests.fakes import FakeKube, Sent
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import HASH, KEY, NAMESPACE, UID

SET = f"checkout-{HASH}"


class Bench:
    """A Rollout with its set, pod, Services and route in a fake API server, and a turn about it."""

    def __init__(self, **meta: Any) -> None:
        self.kube = FakeKube()
        self.sent = Sent()
        self.woken: list[Key] = []
        observer = Observer(cast(Client, self.kube), self.woken.append, lambda _: None)
        self.world = World(
            kube=self.kube, observer=observer, rollouts=Rollouts(), recorder=self.sent
        )
        stored = self.kube.seed(names.ROLLOUTS, objects.rollout(objects.CANARY, **meta))
        self.world.rollouts.known.see(stored)
        for resource, manifest in (
            (names.REPLICASETS, objects.replica_set()),
            (names.PODS, objects.pod("p1")),
            (names.SERVICES, objects.service()),
            (names.HTTPROUTES, objects.route()),
        ):
            observer.remember(resource, self.kube.seed(resource, manifest))
        known = self.world.rollouts.get(KEY)
        assert known is not None
        self.turn = Turn(self.world, known)

    def stored(self, resource: names.Resource, name: str = "checkout") -> dict[str, Any]:
        found = self.kube.peek(resource, name, NAMESPACE)
        assert found is not None
        return found

    async def one(self, action: Action) -> Outcome:
        (outcome,) = await self.turn.perform([action])
        return outcome

    def service_action(self, **changes: Any) -> actions.SelectService:
        version = self.stored(names.SERVICES)["metadata"]["resourceVersion"]
        given: dict[str, Any] = {
            "name": "checkout",
            "resource_version": version,
            "selector": {"app": "checkout", names.HASH_LABEL: HASH},
            "original": {"app": "checkout", names.TYPE_LABEL: "stable"},
            **changes,
        }
        return actions.SelectService(**given)


async def test_a_set_is_created_and_seen_at_once() -> None:
    bench = Bench()
    manifest = objects.replica_set("bbbbbbbbbb")
    del manifest["metadata"]["resourceVersion"]
    assert await bench.one(actions.CreateReplicaSet(manifest=manifest)) is Outcome.DONE
    seen = bench.world.observer.observe(bench.turn.rollout, {})
    assert [item.hash for item in seen.replica_sets] == [HASH, "bbbbbbbbbb"]


async def test_a_set_that_is_there_already_is_read_and_looked_at() -> None:
    """Its pods may have been ready for long: nothing else would wake the Rollout for them."""
    bench = Bench()
    manifest = bench.kube.seed(names.REPLICASETS, objects.replica_set("bbbbbbbbbb"))
    bench.woken.clear()
    assert await bench.one(actions.CreateReplicaSet(manifest=manifest)) is Outcome.FOUND
    assert bench.woken == [KEY]


async def test_a_set_of_that_name_that_is_not_ours_is_reported() -> None:
    bench = Bench()
    bench.kube.seed(names.REPLICASETS, objects.replica_set("cccccccccc", owner="another"))
    manifest = objects.replica_set("cccccccccc")
    with pytest.raises(UserError, match="checkout-cccccccccc exists and does not belong"):
        await bench.one(actions.CreateReplicaSet(manifest=manifest))


async def test_scaling_is_one_patch_and_seen_at_once() -> None:
    bench = Bench()
    await bench.one(actions.ScaleReplicaSet(name=SET, replicas=5, was=2))
    assert bench.stored(names.REPLICASETS, SET)["spec"]["replicas"] == 5
    seen = bench.world.observer.observe(bench.turn.rollout, {})
    assert seen.replica_sets[0].replicas == 5


@pytest.mark.parametrize("is_told", [False, True], ids=["untold", "told by the watch in between"])
async def test_a_set_that_another_has_scaled_meanwhile_is_looked_at_anew(is_told: bool) -> None:
    """The leader before us may have written after the look on which this was decided."""
    bench = Bench()
    await bench.kube.patch(names.REPLICASETS, SET, NAMESPACE, {"spec": {"replicas": 4}})
    if is_told:
        bench.world.observer.remember(names.REPLICASETS, bench.stored(names.REPLICASETS, SET))
    with pytest.raises(Conflict, match=f"ReplicaSet {SET}: somebody else has scaled it"):
        await bench.one(actions.ScaleReplicaSet(name=SET, replicas=0, was=2))
    seen = bench.world.observer.observe(bench.turn.rollout, {})
    assert [item.replicas for item in seen.replica_sets] == [4]
    await bench.one(actions.ScaleReplicaSet(name=SET, replicas=5, was=4))
    assert bench.stored(names.REPLICASETS, SET)["spec"]["replicas"] == 5


async def test_a_size_that_the_server_refuses_is_no_conflict() -> None:
    bench = Bench()
    bench.kube.failures.append(("patch", Invalid("must not be negative")))
    with pytest.raises(Invalid, match="negative"):
        await bench.one(actions.ScaleReplicaSet(name=SET, replicas=5, was=2))


async def test_neighbouring_changes_of_one_set_are_one_request() -> None:
    bench = Bench()
    await bench.turn.perform(
        [
            actions.RelabelReplicaSet(name=SET, role="canary"),
            actions.ScaleReplicaSet(name=SET, replicas=3, was=2),
        ]
    )
    (call,) = bench.kube.writes()
    stored = bench.stored(names.REPLICASETS, SET)
    assert call.verb == "patch"
    assert stored["spec"]["replicas"] == 3
    assert stored["metadata"]["labels"][names.TYPE_LABEL] == "canary"
    assert stored["spec"]["template"]["metadata"]["labels"][names.TYPE_LABEL] == "canary"


async def test_a_pod_is_relabelled_and_one_that_is_gone_is_success() -> None:
    bench = Bench()
    assert await bench.one(actions.RelabelPod(name="p1", role="canary")) is Outcome.DONE
    assert bench.stored(names.PODS, "p1")["metadata"]["labels"][names.TYPE_LABEL] == "canary"
    assert await bench.one(actions.RelabelPod(name="p9", role="canary")) is Outcome.GONE


async def test_a_marked_pod_is_given_up_first_and_one_that_is_gone_is_success() -> None:
    bench = Bench()
    assert await bench.one(actions.MarkPod(name="p1")) is Outcome.DONE
    notes = bench.stored(names.PODS, "p1")["metadata"]["annotations"]
    assert notes == {"controller.kubernetes.io/pod-deletion-cost": "-1000"}
    assert await bench.one(actions.MarkPod(name="p9")) is Outcome.GONE


async def test_an_old_set_is_deleted_with_its_uid_and_not_seen_any_more() -> None:
    bench = Bench()
    uid = bench.stored(names.REPLICASETS, SET)["metadata"]["uid"]
    await bench.one(actions.DeleteReplicaSet(name=SET, uid=uid))
    assert bench.kube.peek(names.REPLICASETS, SET, NAMESPACE) is None
    assert bench.world.observer.observe(bench.turn.rollout, {}).replica_sets == ()


async def test_a_service_is_pointed_at_a_revision_and_keeps_its_original() -> None:
    bench = Bench()
    await bench.one(bench.service_action())
    stored = bench.stored(names.SERVICES)
    assert stored["spec"]["selector"] == {"app": "checkout", names.HASH_LABEL: HASH}
    assert stored["metadata"]["labels"] == {names.MANAGED_LABEL: "true"}
    kept = stored["metadata"]["annotations"][names.ORIGINAL_SELECTOR]
    assert kept == '{"app":"checkout","rollouts.kulta.io/type":"stable"}'


async def test_a_restored_service_carries_nothing_of_ours() -> None:
    bench = Bench()
    before = bench.stored(names.SERVICES)["spec"]["selector"]
    await bench.one(bench.service_action())
    await bench.one(bench.service_action(selector=before, original=None))
    stored = bench.stored(names.SERVICES)
    assert stored["spec"]["selector"] == before
    assert not stored["metadata"]["labels"]
    assert not stored["metadata"]["annotations"]


async def test_somebody_changed_the_service_meanwhile() -> None:
    bench = Bench()
    action = bench.service_action()
    theirs = {"metadata": {"labels": {"team": "a"}}}
    await bench.kube.patch(names.SERVICES, "checkout", NAMESPACE, theirs)
    with pytest.raises(Conflict):
        await bench.one(action)
    known = bench.world.observer.service(NAMESPACE, "checkout")
    assert known is not None
    assert known.resource_version == bench.stored(names.SERVICES)["metadata"]["resourceVersion"]


async def test_a_route_is_replaced_as_a_whole() -> None:
    bench = Bench()
    wanted = {**bench.stored(names.HTTPROUTES), "spec": {"rules": [{"weight": 1}]}}
    assert await bench.one(actions.WriteRoute(manifest=wanted)) is Outcome.DONE
    assert bench.stored(names.HTTPROUTES)["spec"] == wanted["spec"]


async def test_a_route_that_changed_meanwhile_is_read_anew_and_theirs_is_kept() -> None:
    """[T17] The next look decides on the user's concurrent change."""
    bench = Bench()
    stale = bench.stored(names.HTTPROUTES)
    theirs = {"spec": {"hostnames": ["shop.example.com"]}}
    await bench.kube.patch(names.HTTPROUTES, "checkout", NAMESPACE, theirs)
    with pytest.raises(Conflict):
        await bench.one(actions.WriteRoute(manifest=stale))
    seen = bench.world.observer.observe(bench.turn.rollout, {})
    assert seen.routes["HTTPRoute", "checkout"]["spec"] == theirs["spec"]


async def test_somebody_who_writes_the_route_all_the_time_delays_and_loses_nothing() -> None:
    """[RP-17] Each conflict ends with a fresh route, so that the next try is a real one."""
    bench, router = Bench(), ROUTERS["HTTPRoute"]
    parts = Backends(rollout="checkout", stable="checkout", canary="checkout-canary")
    refs = [{"name": parts.stable, "port": 80}, {"name": parts.canary, "port": 80}]
    rules = {"spec": {"rules": [{"backendRefs": refs}]}}
    seen = await bench.kube.patch(names.HTTPROUTES, "checkout", NAMESPACE, rules)
    for attempt in range(3):
        wanted = router.weighted(seen, parts, 20)
        assert wanted is not None
        theirs = {"spec": {"hostnames": [f"v{attempt}.example.com"]}}
        await bench.kube.patch(names.HTTPROUTES, "checkout", NAMESPACE, theirs)
        with pytest.raises(Conflict):
            await bench.one(actions.WriteRoute(manifest=wanted))
        seen = dict(
            bench.world.observer.observe(bench.turn.rollout, {}).routes["HTTPRoute", "checkout"]
        )
    await bench.one(actions.WriteRoute(manifest=router.weighted(seen, parts, 20) or {}))
    stored = bench.stored(names.HTTPROUTES)
    assert stored["spec"]["hostnames"] == ["v2.example.com"]
    assert [ref["weight"] for ref in stored["spec"]["rules"][0]["backendRefs"]] == [80, 20]


def own_ingress() -> dict[str, Any]:
    made = gen.ingress("checkout-web-canary")
    labels = {names.MANAGED_LABEL: "true", names.ROLLOUT_LABEL: "checkout"}
    meta = {"name": "checkout-web-canary", "namespace": NAMESPACE, "labels": labels}
    return {**made, "metadata": meta}


async def test_an_object_of_ours_is_made_and_deleted_and_both_are_seen_at_once() -> None:
    bench = Bench()
    place, observer = ("Ingress", "checkout-web-canary"), bench.world.observer
    await bench.one(actions.WriteRoute(manifest=own_ingress()))
    seen = observer.observe(bench.turn.rollout, {}).routes
    assert seen[place]["spec"] == own_ingress()["spec"]
    await bench.one(actions.DeleteRoute(manifest=seen[place]))
    assert bench.kube.peek(names.INGRESSES, place[1], NAMESPACE) is None
    assert place not in observer.observe(bench.turn.rollout, {}).routes


async def test_an_object_of_ours_that_is_there_already_is_looked_at_again() -> None:
    bench = Bench()
    bench.kube.seed(names.INGRESSES, own_ingress())
    with pytest.raises(Conflict):
        await bench.one(actions.WriteRoute(manifest=own_ingress()))


async def test_our_finalizer_comes_and_goes_and_others_stay() -> None:
    bench = Bench(finalizers=["somebody/else"])
    await bench.one(actions.SetFinalizer(present=True))
    stored = bench.stored(names.ROLLOUTS)
    assert stored["metadata"]["finalizers"] == ["somebody/else", names.ROLLOUT_FINALIZER]
    await bench.one(actions.SetFinalizer(present=False))
    assert bench.stored(names.ROLLOUTS)["metadata"]["finalizers"] == ["somebody/else"]


async def test_a_request_is_consumed() -> None:
    bench = Bench(annotations={"kulta.io/promote": "true", "team": "a"})
    await bench.one(actions.ConsumeRequest(verb="promote"))
    assert bench.stored(names.ROLLOUTS)["metadata"]["annotations"] == {"team": "a"}


async def test_an_event_names_the_rollout() -> None:
    bench = Bench()
    await bench.one(actions.Emit(kind="Normal", reason="Completed", message="done"))
    assert [(item.about, item.reason) for item in bench.sent.events] == [("checkout", "Completed")]


async def test_the_status_is_replaced_and_known_at_once() -> None:
    bench = Bench()
    await bench.turn.report(RolloutStatus(phase=Phase.PROGRESSING, message="on its way"))
    await bench.turn.report(RolloutStatus(phase=Phase.COMPLETED))
    stored = bench.stored(names.ROLLOUTS)
    assert stored["status"] == {"phase": "Completed"}
    known = bench.world.rollouts.get(KEY)
    assert known is bench.turn.rollout
    assert known.metadata.resource_version == stored["metadata"]["resourceVersion"]


async def test_writes_of_one_turn_follow_each_other_without_reading() -> None:
    bench = Bench(annotations={"kulta.io/promote": "true"})
    await bench.one(actions.SetFinalizer(present=True))
    await bench.turn.report(RolloutStatus(phase=Phase.PROGRESSING))
    await bench.one(actions.ConsumeRequest(verb="promote"))
    assert [call.verb for call in bench.kube.calls] == ["patch", "replace", "patch"]


async def test_a_status_that_comes_too_late_reads_what_is_there() -> None:
    bench = Bench()
    await bench.kube.patch(names.ROLLOUTS, "checkout", NAMESPACE, {"spec": {"replicas": 9}})
    with pytest.raises(Conflict):
        await bench.turn.report(RolloutStatus(phase=Phase.PROGRESSING))
    known = bench.world.rollouts.get(KEY)
    assert known is not None
    assert known.spec.replicas == 9


async def test_a_rollout_that_is_gone_leaves_the_store() -> None:
    bench = Bench()
    await bench.kube.delete(names.ROLLOUTS, "checkout", NAMESPACE, uid=UID)
    with pytest.raises(Vanished):
        await bench.turn.report(RolloutStatus())
    assert KEY not in bench.world.rollouts.known


async def test_what_comes_after_an_error_is_not_begun() -> None:
    bench = Bench()
    bench.kube.failures.append(Forbidden("no"))
    with pytest.raises(Forbidden):
        await bench.turn.perform(
            [
                actions.RelabelPod(name="p1", role="canary"),
                actions.Emit(kind="Normal", reason="Completed", message="done"),
            ]
        )
    assert bench.sent.events == []
