"""A transition: one decision of the diary, and the Rollout whose status holds it.

Made by `decisions` for each decision that nobody has been told of; read by the dialects beside it.
Whoever tells it again after a crash makes it anew from the stored status: the same decision has the
same identity, so a receiver knows it again. Numbers begin anew where a status is lost; the time of
the decision keeps what came before apart from what comes after.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from fleet.api.rollout import Decision, Phase, Rollout, RolloutStatus
from fleet.kulta.core.messages.vocabulary import word

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://kulta.io/decisions")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """See the module. `rollout.status` is the status that holds `decision`."""

    rollout: Rollout
    decision: Decision

    @property
    def status(self) -> RolloutStatus:
        return self.rollout.status

    @property
    def phase(self) -> Phase:
        """Where the Rollout stood after the decision."""
        return self.decision.phase or self.status.phase or Phase.INITIALIZING

    @property
    def strategy(self) -> str:
        """Its word in events."""
        return word(self.status.strategy)

    @property
    def at(self) -> datetime:
        """When it was decided."""
        return self.decision.timestamp or _EPOCH

    @property
    def is_named(self) -> bool:
        """Whether anybody could tell whom it is about."""
        return bool(self.rollout.name and self.rollout.namespace)

    @property
    def step(self) -> int:
        """Index of the step that the decision led to, or was made at; 0 without steps."""
        decision = self.decision
        return decision.to_step if decision.to_step is not None else decision.from_step or 0

    @property
    def steps(self) -> int:
        """How many steps there are; 0 for a strategy without."""
        count = self.status.step.partition("/")[2]
        return int(count) if count.isdecimal() else 0

    @property
    def before(self) -> tuple[Decision, ...]:
        """The decisions about this revision up to this one, as far as they are kept."""
        known = [x for x in self.status.decisions if x.sequence <= self.decision.sequence]
        starts = [index for index, item in enumerate(known) if item.action == "Initialize"]
        return tuple(known[starts[-1] :] if starts else known)

    @property
    def unique(self) -> str:
        """What no other decision of any Rollout has."""
        at = int((self.at - _EPOCH).total_seconds() * 1_000)
        return f"{self.rollout.metadata.uid}/{self.decision.sequence}/{at}"

    @property
    def uuid(self) -> str:
        """Its identity as a UUID."""
        return str(uuid.uuid5(_SPACE, self.unique))

    @property
    def ulid(self) -> str:
        """Its identity as a ULID: sorts by the time of the decision."""
        return ulid(self.at, self.unique)


def ulid(at: datetime, unique: str) -> str:
    """A ULID whose part of chance is a digest of `unique`: the same again for the same."""
    moment = int((at - _EPOCH).total_seconds() * 1_000) & (1 << 48) - 1
    chance = int.from_bytes(hashlib.sha256(unique.encode()).digest()[:10], "big")
    value = moment << 80 | chance
    return "".join(_CROCKFORD[value >> 5 * place & 31] for place in reversed(range(26)))
