"""What one look decides, while it is being decided: the next status and what has to be done.

Made by `plan`, filled by strategies and everyone they ask, read by `report`. It lives for one call
and is the only thing in the core that changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core import phases
from fleet.kulta.core.actions import Action, ChangeWorkload
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.facts.traits import Traits
from fleet.kulta.core.messages.advisors import Question
from fleet.kulta.core.messages.webhooks import Errand
from fleet.kulta.core.observed import Inquiry, Query
from fleet.kulta.core.routers.base import Division
from fleet.kulta.core.wait import Wait


@dataclass(slots=True)
class Draft:
    """See the module."""

    look: Look
    traits: Traits
    status: RolloutStatus
    sizes: dict[str, int] = field(default_factory=dict)
    """Revision → pods its set shall have; who is absent stays as it is."""
    promotes: bool = False
    """The promotion has begun where nobody has to be switched."""
    traffic: dict[str, Action] = field(default_factory=dict)
    """Changes of Services and routes by name, in order; the last one for an object counts."""
    workloads: list[ChangeWorkload] = field(default_factory=list)
    """What becomes of Deployments."""
    before: list[Action] = field(default_factory=list)
    """What must have happened when the status says so."""
    after: list[Action] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    """For the advisor: at most one."""
    errands: dict[Inquiry, Errand] = field(default_factory=dict)
    """Hooks that are to be asked."""
    wakes: list[datetime] = field(default_factory=list)
    progress: Wait | None = None
    """Why the rollout does not get on."""
    detour: Wait | None = None
    """Why traffic does not go where it should."""
    paused: Wait | None = None
    """Who or what pauses the rollout."""
    contest: Wait | None = None
    """Who keeps scaling the Deployment whose pods have been replaced."""
    manages_traffic: bool = False
    """Some Service or route is ours at present."""
    divisions: tuple[Division, ...] | None = None
    """What divides the traffic, once somebody has asked."""

    @property
    def now(self) -> datetime:
        return self.look.now

    @property
    def name(self) -> str:
        return self.look.rollout.name

    @property
    def phase(self) -> Phase | None:
        return self.status.phase

    @property
    def is_active(self) -> bool:
        """Whether a revision is on its way."""
        return phases.is_active(self.status.phase)

    @property
    def current(self) -> str:
        """The revision that the spec asks for."""
        return self.status.current_pod_hash

    @property
    def stable(self) -> str:
        """The revision that has proved itself; empty while none has."""
        return self.status.stable_pod_hash

    @property
    def is_bereft(self) -> bool:
        """Whether the stable revision is gone for good: no set, and no ready pod that it left."""
        return bool(
            self.stable
            and self.stable not in self.look.sets
            and not self.look.ready_pods(self.stable)
        )

    @property
    def has_begun(self) -> bool:
        """Whether nobody is asked any more if the current revision may begin: there is something
        of it, or it comes at once, since it is known or a person wants it."""
        index, canary = self.status.current_step_index, self.look.spec.strategy.canary
        last = len(canary.way) if canary is not None else 1
        is_past = bool(self.stable) and index is not None and index >= last
        is_there = self.status.reached_step_index is not None or self.look.replicas(self.current)
        return is_past or bool(is_there)

    def set(self, **changes: Any) -> None:
        """Change fields of the next status."""
        self.status = self.status.model_copy(update=changes)

    def move(self, phase: Phase) -> None:
        """Go to `phase`; UnexpectedState where `phases.MOVES` does not allow it."""
        self.set(phase=phases.move(self.status.phase, phase, self.name))

    def scale(self, revision: str, replicas: int) -> None:
        """The set of `revision` shall have so many pods; nothing where there is no revision."""
        if revision:
            self.sizes[revision] = replicas

    def arrange(self, sizes: Mapping[str, int]) -> None:
        """`scale` for several."""
        for revision, replicas in sizes.items():
            self.scale(revision, replicas)

    def size(self, revision: str) -> int:
        """The pods that the set of `revision` has or shall have."""
        return self.sizes.get(revision, self.look.replicas(revision))

    def others(self) -> tuple[str, ...]:
        """Revisions with pods that are neither current nor stable."""
        return tuple(
            item.hash
            for item in self.look.observed.replica_sets
            if item.hash not in (self.current, self.stable) and (item.replicas or item.current)
        )

    def again(self) -> None:
        """Look again as soon as the status is written."""
        self.wake(self.now + timedelta(milliseconds=1))

    def wake(self, moment: datetime | None) -> None:
        """Look again at `moment`."""
        if moment is not None:
            self.wakes.append(moment)
