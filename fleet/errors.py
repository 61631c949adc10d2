"""The errors of Kulta Fleet, classed by what the caller should do about them.

    FleetError
    ├── TemporaryError        try again later; the world is in the way
    │   ├── Unreachable       no answer from an API server (transport, 5xx, circuit open)
    │   │   ├── Silent        nobody answers at its address
    │   │   └── Untrusted     its certificate does not verify
    │   ├── Unanswered        somebody outside took longer than he may
    │   ├── Conflict          somebody else wrote first: read again, decide again
    │   ├── Deposed           another replica may lead: nothing is written any more
    │   └── Throttled         told to slow down (429), with `retry_after`
    ├── PermanentError        the same call will fail again until something changes
    │   ├── NotFound          the object does not exist
    │   ├── Forbidden         the credentials lack the right
    │   ├── Unauthorized      the credentials are wrong or expired
    │   ├── Invalid           the API server refuses the object (422, 400)
    │   ├── AlreadyExists     a create found the name taken
    │   └── Gone              a resource version is too old: list again
    ├── UserError             somebody's input is wrong: goes to a condition, never a stack trace
    └── UnexpectedState       our own bug: loud

`clusters.errors` turns an API server's answer into one of these; `*/runtime/reconcile.py` is the
one place that turns them into conditions, Events and wake-ups. Nothing in between swallows them.
"""


class FleetError(Exception):
    """Root of everything that Kulta Fleet raises on purpose."""

    retry_after: float | None = None
    """Seconds after which the server wants to be asked again, where it named them."""


class TemporaryError(FleetError):
    """The call may succeed later."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(TemporaryError):
    """No usable answer: connection refused, time-out, TLS failure, 5xx, or the circuit is open."""


class Silent(Unreachable):
    """Nobody answers at the server's address: refused, cut off, or no route to it."""


class Untrusted(Unreachable):
    """The server's certificate does not verify, or TLS failed in another way."""


class Unanswered(TemporaryError):
    """No answer within the time that the call has."""


class Conflict(TemporaryError):
    """Optimistic concurrency or field ownership failed (409); look again and decide again.

    `managers` names the field managers that own what we wanted to write, where the server said so.
    """

    def __init__(self, message: str = "", *, managers: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.managers = managers


class Deposed(TemporaryError):
    """This process does not lead (any more), so that what it decided may be old: not written."""


class Throttled(TemporaryError):
    """The server asked for fewer requests (429)."""


class PermanentError(FleetError):
    """The same call fails again until somebody changes something."""


class NotFound(PermanentError):
    """The object, its kind or its namespace does not exist (404)."""


class Forbidden(PermanentError):
    """RBAC refuses (403)."""


class Unauthorized(PermanentError):
    """The credentials are wrong or have expired (401)."""


class Invalid(PermanentError):
    """The API server refuses the object's content (400, 422); the message is the server's."""


class AlreadyExists(PermanentError):
    """A create found an object of that name (409 AlreadyExists)."""


class Gone(PermanentError):
    """The resource version has been compacted away (410): list again."""


class UserError(FleetError):
    """Somebody's input is wrong. The message says what, where, and what to write instead.

    `reason` is a CamelCase constant of `api.reasons`, used as the condition's reason.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnexpectedState(FleetError):
    """A state that our own rules exclude; names the phase, the event and the object."""
