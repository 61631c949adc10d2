"""A Kubernetes Event about a Rollout, as an action: for people, and at most once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """A Kubernetes Event about the Rollout. `kind` is Normal or Warning."""

    kind: str
    reason: str
    message: str
