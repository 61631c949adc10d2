"""What we wrote and somebody undid: put back a few times, then only reported.

Used for selectors and weights by `traffic`, for Deployments by `workloads`.
"""

from fleet.kulta.core.draft import Draft
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.wait import Wait

RESTORES = 3
"""So often something is put back in one rollout."""


def put_back(draft: Draft, reason: str, what: str) -> Wait | None:
    """Whether `what` is put back, which is told (None), or why it is left alone."""
    if draft.status.restores >= RESTORES:
        return Wait(
            reason=reason,
            message=f"somebody keeps undoing {what}; stop them from managing it, "
            "then set the annotation kulta.io/resume",
        )
    draft.set(restores=draft.status.restores + 1)
    message = f"somebody changed {what}; it is put back ({draft.status.restores} of {RESTORES})"
    draft.after.append(Emit(kind="Warning", reason=reason, message=message))
    return None
