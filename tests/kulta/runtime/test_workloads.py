"""Deployments: nobody asks for them before somebody names one; then their changes wake."""

import asyncio
from typing import Any, cast

import pytest

from fleet.api import names
from fleet.api.rollout import Rollout, RolloutStatus
from fleet.api.workload import WorkloadStatus
from fleet.clusters.client import Client
from fleet.clusters.watch import Informer
from fleet.errors import Conflict, Forbidden
from fleet.kulta.core import actions
from fleet.kulta.runtime import decode
from fleet.kulta.runtime.workloads import Workloads
from tests.fakes import FakeKube
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import KEY, NAMESPACE
from tests.kulta.runtime.test_apply import Bench
from tests.kulta.runtime.test_observe import Looking
from tests.kulta.runtime.test_routing import turns


def deployment(
    annotations: dict[str, str] | None = None, ready: int = 3, **meta: Any
) -> dict[str, Any]:
    """The Deployment `web` of three pods."""
    template = {"metadata": {"labels": {"app": "web"}, "creationTimestamp": None}, "spec": {}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": NAMESPACE,
            "uid": "uid-web",
            "resourceVersion": "50",
            "generation": 2,
            "annotations": annotations or {},
            **meta,
        },
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        "status": {"readyReplicas": ready, "observedGeneration": 2},
    }


def written(manager: str) -> dict[str, Any]:
    return {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}}


def test_a_deployment_is_read_as_far_as_it_matters() -> None:
    notes = {names.HOLDER: "checkout", names.ORIGINAL_REPLICAS: "3"}
    found = decode.workload(deployment(notes))
    assert found.template == {"metadata": {"labels": {"app": "web"}}, "spec": {}}
    assert (found.replicas, found.ready, found.is_current) == (3, 3, True)
    assert (found.holder, found.original, found.is_going) == ("checkout", 3, False)
    assert not decode.workload(deployment(generation=3)).is_current
    assert decode.workload(deployment(deletionTimestamp="2026-11-20T12:00:00Z")).is_going
    assert decode.workload(deployment({names.ORIGINAL_REPLICAS: "many"})).original is None


@pytest.mark.parametrize(
    ("fields", "scaler", "autoscaled"),
    [
        pytest.param([], "", False, id="nobody knows"),
        pytest.param([{"manager": "kubectl", "fieldsV1": {}}], "", False, id="another field"),
        pytest.param([written("kubectl")], "kubectl", False, id="a person"),
        pytest.param(
            [written("kube-controller-manager")],
            "kube-controller-manager",
            True,
            id="an autoscaler",
        ),
    ],
)
def test_who_scaled_it_is_known(
    fields: list[dict[str, Any]], scaler: str, autoscaled: bool
) -> None:
    found = decode.workload(deployment(managedFields=fields))
    assert (found.scaler, found.autoscaled) == (scaler, autoscaled)


def referring(looking: Looking, name: str = "web") -> Looking:
    """Its Rollout takes the template of that Deployment."""
    manifest = objects.rollout()
    del manifest["spec"]["template"], manifest["spec"]["selector"]
    manifest["spec"]["workloadRef"] = {"name": name}
    looking.rollout = Rollout.parse(manifest)
    return looking


def test_only_what_matters_of_a_deployment_that_is_named_wakes() -> None:
    looking = referring(Looking())
    store = looking.observer.workloads.informer.store
    store.see(deployment())
    assert looking.woken == []
    assert looking.look().workloads["web"].generation == 2
    store.see(deployment(resourceVersion="51", labels={"a": "b"}))
    assert looking.woken == []
    store.see(deployment(ready=2, resourceVersion="52"))
    assert looking.woken == [KEY]
    looking.observer.forget(KEY)
    store.see(deployment(ready=1, resourceVersion="53"))
    assert looking.woken == [KEY]


def test_the_one_that_was_named_before_is_seen_too() -> None:
    looking = referring(Looking(), "next")
    status = RolloutStatus(workload_ref=WorkloadStatus(name="web"))
    looking.rollout = looking.rollout.model_copy(update={"status": status})
    looking.observer.workloads.informer.store.see(deployment())
    assert set(looking.look().workloads) == {"web"}


def test_whoever_waits_for_a_deployment_that_another_held_is_woken() -> None:
    looking = referring(Looking())
    looking.look()
    looking.observer.workloads.refer((NAMESPACE, "other"), {"web"})
    looking.observer.forget((NAMESPACE, "other"))
    assert looking.woken == [KEY]


async def test_deployments_are_watched_once_somebody_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []

    async def run(informer: Informer[Any]) -> None:
        begun.append(informer.resource.kind)
        await asyncio.Event().wait()

    monkeypatch.setattr(Informer, "run", run)
    woken: list[tuple[str, str]] = []
    watched = Workloads(cast(Client, FakeKube()), woken.append)
    watching = asyncio.create_task(watched.run())
    await turns()
    assert begun == []
    watched.refer(KEY, {"web"})
    await turns()
    assert (begun, watched.unseen, woken) == (["Deployment"], "", [])
    watched.informer.on_error(Forbidden("deployments is forbidden"))
    watched.informer.on_error(Forbidden("deployments is forbidden"))
    assert (watched.unseen, woken) == ("deployments is forbidden", [KEY])
    watched.informer.synced.set()
    await turns()
    assert (watched.unseen, woken) == (None, [KEY, KEY])
    watching.cancel()


def held(bench: Bench, **changes: Any) -> actions.ChangeWorkload:
    given = {"name": "web", "replicas": 0, "holder": "checkout", "original": 3}
    version = bench.stored(names.DEPLOYMENTS, "web")["metadata"]["resourceVersion"]
    return actions.ChangeWorkload(**{"resource_version": version, **given, **changes})


async def test_a_deployment_is_held_sized_and_let_go() -> None:
    bench = Bench()
    bench.kube.seed(names.DEPLOYMENTS, deployment())
    await bench.one(held(bench))
    found = bench.stored(names.DEPLOYMENTS, "web")
    assert found["spec"]["replicas"] == 0
    assert found["metadata"]["annotations"] == {
        names.HOLDER: "checkout",
        names.ORIGINAL_REPLICAS: "3",
    }
    seen = bench.world.observer.workloads.of(NAMESPACE, {"web"})["web"]
    assert (seen.replicas, seen.original) == (0, 3)
    await bench.one(held(bench, replicas=3, holder="", original=None))
    assert bench.stored(names.DEPLOYMENTS, "web")["metadata"]["annotations"] == {}


async def test_a_deployment_that_somebody_has_just_changed_is_not_written() -> None:
    bench = Bench()
    bench.kube.seed(names.DEPLOYMENTS, deployment())
    with pytest.raises(Conflict):
        await bench.one(held(bench, resource_version="1"))
    assert bench.stored(names.DEPLOYMENTS, "web")["spec"]["replicas"] == 3
