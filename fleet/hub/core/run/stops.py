"""What a gate says when it is closed."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why nothing starts now."""

    reason: str
    """A constant of `api.reasons`."""
    message: str
    until: datetime | None = None
    """When time alone ends it; None where it does not."""
    unblock: str = ""
    """What would end it."""
