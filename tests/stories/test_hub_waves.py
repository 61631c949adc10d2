"""A revision goes wave by wave; a bad one stops at the first cluster that says so."""

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from tests.hub import world
from tests.hub.world import World

WAVES = {
    "waves": [
        {"name": "canary", "clusterSelector": {"matchLabels": {"ring": "canary"}}},
        {"name": "rest", "remaining": True},
    ]
}


def fleet() -> World:
    """One cluster of the ring `canary`, two of the rest, with v1 everywhere."""
    start = world.new("a", "b", "c", labels={"c": "canary"}, **WAVES)
    return world.settle(start)


def test_every_cluster_gets_the_first_revision() -> None:
    done = fleet()
    assert done.run.status.phase is RunPhase.SUCCEEDED
    assert done.started == ["c", "a", "b"], "the canary ring first, then one by one"
    assert done.application.status.clusters == "3/3"


def test_a_bad_version_never_reaches_the_others() -> None:
    before = fleet()
    after = world.settle(world.deliver(before, "shop:bad", **WAVES))
    assert after.run.status.phase is RunPhase.HALTED
    assert after.run.status.message == (
        "halted: c failed its analysis: error-rate 12.4 is not below 5"
    )
    assert (after.image("a"), after.image("b")) == ("shop:v1", "shop:v1")
    assert after.log[len(before.log) :] == ["c apply 2"], "nobody else was written at all"


def test_what_is_in_flight_is_held_at_the_halt_and_freed_by_the_next_revision() -> None:
    both = {"waves": [{"name": "all", "remaining": True, "maxConcurrency": 2}]}
    start = world.settle(world.new("a", "b", **both))
    going = world.tick(world.tick(world.deliver(start, "shop:bad", **both)))
    assert [going.phase(name) for name in "ab"] == [ClusterPhase.PROGRESSING] * 2
    after = world.settle(going)
    assert after.run.status.phase is RunPhase.HALTED
    mended = world.settle(world.deliver(after, "shop:v3", **both))
    assert mended.run.status.phase is RunPhase.SUCCEEDED
    assert [mended.cluster(name).spec.hold for name in "ab"] == ["", ""]


def test_a_retry_after_a_halt_tries_the_failed_cluster_again() -> None:
    halted = world.settle(world.deliver(fleet(), "shop:bad", **WAVES))
    again = world.tick(world.tick(world.settle(halted, ticks=1, request="retry/1")))
    assert again.cluster("c").spec.want.attempt == 1  # type: ignore[union-attr]
    assert again.phase("c") is not ClusterPhase.FAILED
    assert world.settle(again).run.status.phase is RunPhase.HALTED, "it is still bad"


def test_a_settled_world_stays_as_it_is() -> None:
    done = fleet()
    later = world.tick(world.tick(done))
    assert (later.writes, later.log) == (done.writes, done.log)
