"""Rollouts of all strategies at once, while the engine, its API server and the pods fail.

Seeded: the same seed brings the same faults in the same order. All end right, none is doubled, none
is stuck; the audit log is the judge. Here two of each strategy and each usual fault once; twenty
Rollouts, ten seeds and all faults in `make check-deep`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import pytest

from e2e import cast, perturbed
from e2e.ground import binaries, definitions
from e2e.ground.controlplane import ControlPlane
from e2e.ground.faults import Seen
from e2e.ground.subject import Subject
from e2e.ground.waiting import until
from e2e.perturbed import Scene
from tests import search

IS_DEEP = search.MANY > 1_000
SEEDS = range(1, 11) if IS_DEEP else (1,)
OF_EACH = 4 if IS_DEEP else 2
FAULTS = 30 if IS_DEEP else 8
MANY = 8 if IS_DEEP else 3
"""Requests in a row that fail: each that meets the same Rollout doubles the time it waits."""
PAUSE_SECONDS = 0.3
"""Between two faults."""
HANG_SECONDS = 17.0
"""Longer than the engine waits for an answer."""
NOT_READY = {"type": "Ready", "status": "False", "reason": "Flapping"}


@dataclass(kw_only=True)
class Chaos:
    """What befalls a scene."""

    scene: Scene
    plane: ControlPlane
    dice: Random
    met: Counter[str] = field(default_factory=Counter)

    @property
    def faults(self) -> Mapping[str, Callable[[], object]]:
        """By name; the rare ones take long."""
        proxy, do = self.scene.proxy, self.scene.do
        usual: dict[str, Callable[[], object]] = {
            "killed": self.scene.restart,
            "conflicts": lambda: proxy.fail(409, times=6, when=is_update),
            "errors": lambda: proxy.fail(self.dice.choice((500, 503, 504)), times=MANY),
            "throttled": lambda: proxy.fail(429, times=MANY),
            "lost": lambda: proxy.lose_answer(times=4),
            "expired": lambda: do(proxy.expire_watches),
            "flapping": self.flap,
            "deleted": self.delete,
        }
        rare: dict[str, Callable[[], object]] = {
            "cut": lambda: self.plane.restart("kube-apiserver"),
            "compacted": self.plane.forget_history,
            "hanging": self.hang,
        }
        return usual | (rare if IS_DEEP else {})

    def strike(self) -> None:
        """One of them; in the end each has come once."""
        faults = self.faults
        least = min(self.met[name] for name in faults)
        name = self.dice.choice([name for name in faults if self.met[name] == least])
        self.met[name] += 1
        faults[name]()

    def hang(self) -> None:
        """Nothing is answered until the engine gives up, unless it has nothing to ask any more."""
        scene, brake = self.scene, self.scene.brake
        scene.do(lambda: brake.after(1))
        until(lambda: brake.held.is_set() or scene.is_over(), "a write, or the end", within=60)
        if brake.held.is_set():
            time.sleep(HANG_SECONDS)
        scene.do(brake.release)

    def flap(self) -> None:
        """Pods say that they are not ready, and then that they are."""
        chosen = self.pods()
        for said in (NOT_READY, {**NOT_READY, "status": "True"}):
            for path in chosen:
                self.plane.call("PATCH", f"{path}/status", {"status": {"conditions": [said]}})
            time.sleep(PAUSE_SECONDS)

    def delete(self) -> None:
        """Pods that somebody deletes."""
        for path in self.pods():
            self.plane.call("DELETE", f"{path}?gracePeriodSeconds=0")

    def pods(self) -> list[str]:
        """A few of those that there are, of any Rollout."""
        path = f"/api/v1/namespaces/{self.scene.troupe[0].subject.namespace}/pods"
        found = [item["metadata"]["name"] for item in self.plane.call("GET", path)[1]["items"]]
        return [f"{path}/{name}" for name in self.dice.sample(found, min(5, len(found)))]


def is_update(seen: Seen) -> bool:
    """A write of what is there; what is to be made conflicts in another way."""
    return seen.method in ("PUT", "PATCH")


@pytest.mark.hypothesis
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_fails_all_end_right(kwok: ControlPlane, seed: int) -> None:
    definitions.install(kwok, binaries.find("gateway-api"))
    place = kwok.add_namespace(f"chaos-{seed}")
    troupe = tuple(
        cast.actor(kwok, place, kind, f"{kind}-{number}")
        for number in range(OF_EACH)
        for kind in cast.KINDS
    )
    with perturbed.playing(kwok, place, troupe) as scene:
        chaos = Chaos(scene=scene, plane=kwok, dice=Random(seed))
        for actor in troupe:
            actor.set_out()
        for _ in range(FAULTS):
            chaos.strike()
            time.sleep(PAUSE_SECONDS)
            scene.is_over()
        scene.do(scene.proxy.heal)
        until(scene.is_over, f"seed {seed}: all end", within=90)
        assert scene.twice() == {}
        ends = {actor.subject.name: end(actor.subject) for actor in troupe}
    print(f"seed {seed}: {dict(chaos.met)}; Rollouts were {dict(scene.phases)}")
    assert set(ends.values()) == {(0, 2)}
    assert chaos.met.keys() == chaos.faults.keys()


def end(subject: Subject) -> tuple[int, ...]:
    """Pods of each revision, the fewest first; its diary has no gap and no repetition."""
    status = subject.status
    numbers = [item["sequence"] for item in status["decisions"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [item["action"] for item in status["decisions"]].count("Complete") == 2
    return tuple(sorted(item["spec"]["replicas"] for item in subject.sets().values()))
