"""The fake API server keeps what reconcilers rely on; each row was seen on a real one too (e2e)."""

from typing import Any

import pytest

from fleet.api.names import ROLLOUTS, SERVICES
from fleet.errors import AlreadyExists, Conflict, NotFound, Unreachable
from tests.fakes import FakeKube


def rollout(**spec: Any) -> dict[str, Any]:
    meta = {"name": "checkout", "namespace": "shop"}
    return {"apiVersion": "kulta.io/v1beta1", "kind": "Rollout", "metadata": meta, "spec": spec}


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube((ROLLOUTS, rollout(replicas=1)))


def stored(kube: FakeKube) -> dict[str, Any]:
    found = kube.peek(ROLLOUTS, "checkout", "shop")
    assert found is not None
    return found


async def test_a_created_object_has_an_identity_and_no_status(kube: FakeKube) -> None:
    manifest = {**rollout(replicas=1), "status": {"phase": "x"}}
    manifest["metadata"] = {"name": "cart", "namespace": "shop"}
    made = await kube.create(ROLLOUTS, manifest)
    meta = made["metadata"]
    assert (meta["generation"], bool(meta["uid"]), "status" in made) == (1, True, False)
    with pytest.raises(AlreadyExists):
        await kube.create(ROLLOUTS, manifest)


async def test_a_change_of_the_spec_bumps_the_generation_of_metadata_not(kube: FakeKube) -> None:
    await kube.patch(ROLLOUTS, "checkout", "shop", {"metadata": {"labels": {"a": "b"}}})
    labelled = stored(kube)["metadata"]["generation"]
    await kube.patch(ROLLOUTS, "checkout", "shop", {"spec": {"replicas": 2}})
    assert (labelled, stored(kube)["metadata"]["generation"]) == (1, 2)


async def test_status_and_spec_are_written_apart(kube: FakeKube) -> None:
    both = {"spec": {"replicas": 9}, "status": {"phase": "Paused"}}
    await kube.patch(ROLLOUTS, "checkout", "shop", both, sub="status")
    after_status = stored(kube)
    await kube.patch(ROLLOUTS, "checkout", "shop", {"status": {"phase": "Other"}})
    assert (after_status["spec"], stored(kube)["status"]) == ({"replicas": 1}, {"phase": "Paused"})


async def test_a_replace_of_an_old_version_is_refused(kube: FakeKube) -> None:
    old = await kube.get(ROLLOUTS, "checkout", "shop")
    await kube.patch(ROLLOUTS, "checkout", "shop", {"spec": {"replicas": 2}})
    with pytest.raises(Conflict):
        await kube.replace(ROLLOUTS, old)


async def test_a_write_without_a_difference_changes_no_version(kube: FakeKube) -> None:
    before = stored(kube)
    await kube.replace(ROLLOUTS, before)
    await kube.patch(ROLLOUTS, "checkout", "shop", {"spec": {"replicas": 1}})
    assert stored(kube) == before


async def test_a_json_patch_can_test_first(kube: FakeKube) -> None:
    good = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
    await kube.patch(ROLLOUTS, "checkout", "shop", good)
    assert stored(kube)["spec"] == {"replicas": 3}


async def test_an_apply_owns_what_it_says_and_drops_what_it_says_no_more() -> None:
    kube = FakeKube()
    await kube.apply(ROLLOUTS, rollout(replicas=1, paused=True), manager="hub")
    await kube.patch(ROLLOUTS, "checkout", "shop", {"spec": {"foreign": 1}})
    await kube.apply(ROLLOUTS, rollout(replicas=2), manager="hub")
    assert stored(kube)["spec"] == {"replicas": 2, "foreign": 1}


async def test_two_managers_conflict_until_one_forces() -> None:
    kube = FakeKube()
    await kube.apply(ROLLOUTS, rollout(replicas=1), manager="hub")
    await kube.apply(ROLLOUTS, rollout(replicas=1), manager="agrees")
    with pytest.raises(Conflict) as caught:
        await kube.apply(ROLLOUTS, rollout(replicas=5), manager="other")
    await kube.apply(ROLLOUTS, rollout(replicas=5), manager="other", force=True)
    await kube.apply(ROLLOUTS, rollout(), manager="hub")
    assert (caught.value.managers, stored(kube)["spec"]) == (("agrees", "hub"), {"replicas": 5})


async def test_a_finalizer_holds_a_deleted_object_until_it_is_gone(kube: FakeKube) -> None:
    await kube.patch(ROLLOUTS, "checkout", "shop", {"metadata": {"finalizers": ["x"]}})
    await kube.delete(ROLLOUTS, "checkout", "shop")
    held = stored(kube)
    await kube.patch(ROLLOUTS, "checkout", "shop", {"metadata": {"finalizers": []}})
    gone = kube.peek(ROLLOUTS, "checkout", "shop")
    assert ("deletionTimestamp" in held["metadata"], gone) == (True, None)


async def test_a_delete_is_guarded_by_its_preconditions(kube: FakeKube) -> None:
    with pytest.raises(Conflict):
        await kube.delete(ROLLOUTS, "checkout", "shop", uid="another")
    with pytest.raises(Conflict):
        await kube.delete(ROLLOUTS, "checkout", "shop", version="1")
    await kube.delete(ROLLOUTS, "checkout", "shop", uid=stored(kube)["metadata"]["uid"])
    await kube.delete(ROLLOUTS, "checkout", "shop")
    with pytest.raises(NotFound):
        await kube.get(ROLLOUTS, "checkout", "shop")


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        pytest.param("app=x", ["a", "b"], id="equal"),
        pytest.param("app=x,tier", ["a"], id="and present"),
        pytest.param("!tier", ["b", "c"], id="absent"),
        pytest.param(None, ["a", "b", "c"], id="all"),
    ],
)
async def test_a_list_is_selected_by_labels(selector: str | None, found: list[str]) -> None:
    labels = {"a": {"app": "x", "tier": "1"}, "b": {"app": "x"}, "c": {}}
    kube = FakeKube(
        *(
            (SERVICES, {"metadata": {"name": name, "namespace": "shop", "labels": given}})
            for name, given in labels.items()
        )
    )
    listed = await kube.list(SERVICES, "shop", selector=selector)
    assert [item["metadata"]["name"] for item in listed] == found
    assert await kube.list(SERVICES, "other", selector=selector) == []


async def test_failures_come_in_order_and_may_wait_for_their_verb(kube: FakeKube) -> None:
    kube.failures.append(("patch", Unreachable("lost")))
    await kube.get(ROLLOUTS, "checkout", "shop")
    with pytest.raises(Unreachable):
        await kube.patch(ROLLOUTS, "checkout", "shop", {"spec": {"replicas": 2}})
    assert [call.verb for call in kube.calls] == ["get", "patch"]
    assert [call.verb for call in kube.writes()] == ["patch"]
