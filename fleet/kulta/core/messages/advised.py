"""What an advisor said, as something that is told: about no decision, so it has no number."""

from dataclasses import dataclass
from datetime import datetime

from fleet.api.rollout import Rollout, RolloutStatus
from fleet.kulta.core.messages import advisors, transition
from fleet.kulta.core.messages.advisors import Question
from fleet.kulta.core.observed import Recommendation


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """One answer. `question.rollout` is the Rollout as it was when the advisor was asked."""

    question: Question
    recommendation: Recommendation
    at: datetime

    @property
    def rollout(self) -> Rollout:
        return self.question.rollout

    @property
    def status(self) -> RolloutStatus:
        return self.rollout.status

    @property
    def ulid(self) -> str:
        """Its identity; an answer is told once."""
        return transition.ulid(self.at, f"{self.rollout.metadata.uid}/advice")

    @property
    def prevails(self) -> bool:
        """Whether thresholds decide all the same."""
        return not advisors.follows(self.rollout.spec.advisor.level, self.recommendation)
