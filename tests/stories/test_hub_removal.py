"""An Application is deleted: its objects go, and nobody else's."""

from fleet.api.fleetrollout import RunPhase
from tests.conftest import NOON
from tests.hub import gen, world
from tests.hub.world import ClusterName


def delete(here: world.World) -> world.World:
    """The Application and, through the garbage collector, its ClusterRollouts."""
    meta = here.application.metadata.model_copy(update={"deletion_timestamp": NOON})
    here.application = here.application.model_copy(update={"metadata": meta})
    for name, item in here.items.items():
        gone = item.metadata.model_copy(update={"deletion_timestamp": NOON})
        here.items[name] = item.model_copy(update={"metadata": gone})
    return here


def test_everything_of_ours_goes_and_nothing_else() -> None:
    here = world.settle(world.new("a", "b"))
    other = {"metadata": {"name": "other", "namespace": "checkout", "uid": "x"}, "spec": {}}
    here.objects[ClusterName("a")]["services", "checkout", "other"] = other
    done = world.settle(delete(here))
    assert done.items == {}
    assert done.objects == {"a": {("services", "checkout", "other"): other}, "b": {}}
    order = [line for line in done.log if line.startswith("b delete")]
    assert order == [
        "b delete rollouts/checkout",
        "b delete httproutes/checkout",
        "b delete services/checkout-canary",
        "b delete services/checkout",
    ]


def test_a_run_in_the_midst_is_aborted() -> None:
    here = world.tick(world.tick(world.new("a", "b")))
    done = world.settle(delete(here))
    assert done.run.status.phase is RunPhase.ABORTED
    assert (done.items, done.objects) == ({}, {"a": {}, "b": {}})


WAVES = [
    {"name": "first", "clusters": ["a"]},
    {"name": "second", "clusters": ["b", "c"]},
    {"name": "rest", "remaining": True},
]


def test_later_waves_go_before_earlier_ones() -> None:
    here = world.settle(world.new("a", "b", "c", "d", waves=WAVES))
    done = world.settle(delete(here))
    assert done.items == {}
    gone = [line.split()[0] for line in done.log if "delete rollouts" in line]
    assert (gone[0], sorted(gone[1:3]), gone[3]) == ("d", ["b", "c"], "a")


def test_nobody_waits_for_a_later_wave_that_is_lost() -> None:
    here = world.settle(world.new("a", "b", "c", "d", waves=WAVES))
    done = world.settle(delete(world.lose(here, "b")), ticks=30)
    assert list(done.items) == ["b"]
    back = world.settle(world.regain(done, "b"))
    assert (back.items, back.objects["b"]) == ({}, {})  # type: ignore[index]


def test_a_lost_member_is_waited_for() -> None:
    here = delete(world.lose(world.settle(world.new("a", "b")), "a"))
    here = world.settle(here, ticks=10)
    assert list(here.items) == ["a"]
    done = world.settle(world.regain(here, "a"))
    assert (done.items, done.objects["a"]) == ({}, {})  # type: ignore[index]


def test_what_was_handed_over_is_put_back() -> None:
    """A Service of before serves the pods of before; what was made beside it goes."""
    labels = {
        "app.kubernetes.io/managed-by": "kulta-fleet",
        "fleet.kulta.io/application": "checkout",
        "fleet.kulta.io/namespace": "shop",
    }
    spec = {"selector": {"app": "checkout"}, "ports": [{"name": "web", "port": 8000}]}
    meta = {"name": "checkout", "namespace": "checkout", "uid": "old", "labels": labels}
    here = world.new("a", deletionPolicy="Revert")
    place = ("services", "checkout", "checkout")
    here.objects[ClusterName("a")][place] = {"metadata": meta, "spec": spec}
    here = world.settle(here)
    assert here.objects[ClusterName("a")][place]["spec"]["ports"][0]["port"] == 80
    done = world.settle(delete(here))
    (left,) = done.objects[ClusterName("a")].items()
    assert (left[0], left[1]["spec"]) == (place, spec)
    assert left[1]["metadata"]["labels"] == labels
    assert done.items == {}


def test_a_canary_that_is_taken_out_of_the_policy_leaves_the_workload_serving() -> None:
    """[KH-82] Its second Service goes from every member, once nothing leads there any more."""
    here = world.settle(world.new("a", "b"))
    plain = gen.application(strategy={"simple": {}}, generation=2)
    here.application = here.application.model_copy(update={"spec": plain.spec})
    known = len(here.log)
    done = world.settle(here)
    assert done.run.status.phase is RunPhase.SUCCEEDED
    deleted = [line for line in done.log[known:] if "delete" in line]
    assert sorted(deleted) == [f"{name} delete services/checkout-canary" for name in ("a", "b")]
    for name in ("a", "b"):
        there = done.objects[ClusterName(name)]
        assert there["rollouts", "checkout", "checkout"]["spec"]["strategy"] == {"simple": {}}
        rules = there["httproutes", "checkout", "checkout"]["spec"]["rules"]
        (refs,) = (rule["backendRefs"] for rule in rules)
        assert [(ref["name"], ref["weight"]) for ref in refs] == [("checkout", 100)]
        assert ("services", "checkout", "checkout") in there
        lines = [line for line in done.log[known:] if line.startswith(f"{name} ")]
        led = max(i for i, line in enumerate(lines) if "httproutes/checkout" in line)
        assert led < lines.index(f"{name} delete services/checkout-canary")
