"""Three perturbations of the engine's view (Sieve, OSDI 2022), for each strategy, on a real plane.

It dies right after a write; after a restart it is shown a past that the world has left; events that
come and go between two looks are lost. The end is the same as that of an engine which nothing
befell, and no ReplicaSet is made twice. A seeded sample here, every single write and every strategy
by itself in `make check-deep`.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import pytest

from e2e import cast, perturbed
from e2e.ground import binaries, definitions
from e2e.ground.controlplane import ControlPlane
from e2e.ground.faults import Seen
from e2e.ground.waiting import until
from e2e.perturbed import Scene
from tests import search

SEED = 4
IS_DEEP = search.MANY > 1_000
TROUPES = [(kind,) for kind in cast.KINDS] if IS_DEEP else [cast.KINDS]
"""Who goes together: everybody, or each strategy by itself."""
DEATHS = 3
"""How often the engine dies in one run of all strategies."""
BLIND_SECONDS = 1.0
"""How long it sees a past, or nothing."""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cluster(kwok: ControlPlane) -> ControlPlane:
    """The shared plane with definitions of routes."""
    definitions.install(kwok, binaries.find("gateway-api"))
    path = "/apis/gateway.networking.k8s.io/v1/httproutes"
    until(lambda: kwok.call("GET", path)[0] == 200, "routes are served", within=20)
    return kwok


@pytest.fixture(scope="module", params=TROUPES, ids=",".join)
def scene(request: pytest.FixtureRequest, cluster: ControlPlane) -> Iterator[Scene]:
    """Everybody has come to the second version, without any trouble."""
    number = next(_numbers)
    place = cluster.add_namespace(f"perturbed-{number}")
    troupe = tuple(cast.actor(cluster, place, kind, f"{kind}-{number}") for kind in request.param)
    with perturbed.playing(cluster, place, troupe) as made:
        made.rehearse()
        yield made


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_an_engine_that_dies_after_a_write_changes_nothing_of_the_end(scene: Scene) -> None:
    count, expected = scene.usual
    ways: list[tuple[int, ...]]
    if IS_DEEP:
        ways = [(number,) for number in range(1, count + 1)]
    else:
        dice = Random(SEED)
        ways = [tuple(dice.randint(1, 2 * count // DEATHS - 1) for _ in range(DEATHS))]
    for way in ways:
        scene.play(*way)
        assert scene.end(expected) == expected, f"it died after {way} writes"
    assert (scene.twice(), scene.unmade()) == ({}, 0)
    print(f"seed {SEED}: {count} writes; deaths {ways}, in {dict(scene.phases)}")
    assert len(scene.deaths) >= max(1, len(ways) * 2 // 3)


def are_all(kind: str) -> Callable[[Seen], bool]:
    """Requests for lists and watches of that kind; of all kinds where it is empty."""
    return lambda seen: not kind or f"/{kind}" in seen.path


PASTS = ("", "rollouts", "replicasets", "pods", "services", "httproutes", "endpointslices")
"""What a new engine sees as it was."""


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_a_past_that_the_world_has_left_changes_nothing(scene: Scene) -> None:
    """It starts in the midst of a way and sees what was before that way, for a while."""
    count, expected = scene.usual
    dice = Random(SEED)
    for kind in PASTS if IS_DEEP else PASTS[:1]:
        scene.restart()  # it asks for its lists: they will be the past
        at = dice.randint(1, count - 1)
        for actor in scene.troupe:
            actor.set_out()
        scene.do(partial(scene.brake.after, at))
        until(lambda: scene.is_over() or scene.brake.held.is_set(), f"write {at}", within=20)
        scene.restart(partial(lambda kind: scene.proxy.view.show_past(are_all(kind)), kind))
        time.sleep(BLIND_SECONDS)
        scene.do(scene.proxy.view.show_present)

        until(scene.is_over, f"the end after a past of {kind or 'all'}", within=40)
        assert scene.end(expected) == expected, f"the past of {kind or 'all'} after write {at}"
    assert (scene.twice(), scene.unmade()) == ({}, 0)
    print(f"seed {SEED}: in {dict(scene.phases)}")


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_events_that_nobody_sees_change_nothing(scene: Scene) -> None:
    """What happens meanwhile is told by the next list alone."""
    count, expected = scene.usual
    dice = Random(SEED)
    for _ in range(5 if IS_DEEP else 1):
        moments = [*([0] if IS_DEEP else []), dice.randint(1, count // 2)]
        for actor in scene.troupe:
            actor.set_out()
        for at in moments:
            if at:
                wanted = scene.brake.written + at
                until(
                    partial(
                        lambda wanted: scene.is_over() or scene.brake.written >= wanted, wanted
                    ),
                    f"{wanted} writes",
                    within=20,
                )
            scene.note()
            scene.do(lambda: scene.proxy.view.miss(are_all("")))
            time.sleep(BLIND_SECONDS)
            scene.do(scene.proxy.view.show_present)
            scene.do(scene.proxy.expire_watches)

        until(scene.is_over, "the end after what nobody saw", within=40)
        assert scene.end(expected) == expected
    assert (scene.twice(), scene.unmade()) == ({}, 0)
    print(f"seed {SEED}: in {dict(scene.phases)}")
