"""Turns an API server's answers and a transport's failures into the classes of `fleet.errors`.

Called by `client` only. The library's exceptions end here: they carry request headers, so none is
chained into ours. The texts are for people and go into conditions as they are: a server's own words
are taken without credentials.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from fleet import errors
from fleet.kit import redaction

TRANSPORT = (aiohttp.ClientError, TimeoutError, OSError)
"""Everything that can go wrong between a request and the end of its answer."""

SERVER_FAILURES = frozenset({500, 502, 503, 504})

_LONGEST, _LONGEST_PAGE = 2_000, 200
_MANAGER = re.compile(r'conflict with "([^"]+)"')
_ABOUT_ONE_OBJECT = ("field not declared in schema", "failed calling webhook")


class CircuitOpen(errors.Unreachable):
    """Not sent: the server failed too often lately; `retry_after` says when a probe may go."""


class Hushed(errors.Unreachable):
    """A watch was silent for so long that it counts as lost. No failure: a server has no bookmark
    to send where nothing has moved since the watch began."""


def from_answer(
    status: int, body: bytes, *, what: str, retry_after: float | None = None
) -> errors.FleetError:
    """The error that an HTTP answer of 300 and above means; `what` is `<METHOD> <path>`."""
    said = _status(body)
    whole = str(said.get("message") or "")
    message = redaction.excerpt(whole, _LONGEST)
    text = f"{what}: {status}" + (f" {message}" if message else "")
    if status == 409:
        return _conflict(said, text)
    if status == 429:
        return errors.Throttled(text, retry_after=retry_after)
    if status in SERVER_FAILURES or status == 408:
        if _ABOUT_ONE_OBJECT[0] in whole:  # the field may be called like a credential
            return errors.Invalid(text)
        return errors.Unreachable(text, retry_after=retry_after)
    if status < 400:
        return errors.Unreachable(f"{what}: {status}: this is not an API server but a redirect")
    return _PERMANENT.get(status, errors.PermanentError)(text)


_PERMANENT: Mapping[int, type[errors.PermanentError]] = {
    400: errors.Invalid,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    410: errors.Gone,
    422: errors.Invalid,
}


def is_about_one_object(body: bytes) -> bool:
    """Whether a 5xx speaks of the object sent (schema, admission webhook), not of the server."""
    message = str(_status(body).get("message") or "")
    return any(text in message for text in _ABOUT_ONE_OBJECT)


def from_transport(error: BaseException, *, server: str, seconds: float) -> errors.Unreachable:
    """The sentence for a failure below HTTP; `seconds` is the time-out that was in force."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = error.certificate_error
            detail = why.verify_message if isinstance(why, ssl.SSLCertVerificationError) else why
            return errors.Untrusted(
                f"the certificate of {server} does not verify: {detail};"
                " put the CA that signed it into certificate-authority-data"
            )
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return errors.Untrusted(f"no TLS connection to {server}: {_cause(error)}")
        case aiohttp.ClientHttpProxyError():
            text = f"the proxy before {server} answered {error.status}"
        case aiohttp.ClientProxyConnectionError():
            return errors.Silent(f"the proxy before {server} does not answer")
        case aiohttp.ClientConnectorDNSError():
            text = f"the host name of {server} cannot be resolved"
        case TimeoutError():
            text = f"{server} did not answer within {seconds:g} s"
        case _:
            return errors.Silent(f"{server} does not answer: {_cause(error)}")
    return errors.Unreachable(text)


def _cause(error: BaseException) -> str:
    inner = getattr(error, "os_error", error)
    if isinstance(inner, ssl.SSLError) and inner.reason:
        return str(inner.reason).replace("_", " ").lower()
    if isinstance(inner, ConnectionRefusedError):
        return "connection refused"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(error).__name__


def _conflict(said: Mapping[str, Any], text: str) -> errors.FleetError:
    if said.get("reason") == "AlreadyExists":
        return errors.AlreadyExists(text)
    details = said.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    found = (
        _MANAGER.search(str(cause.get("message", "")))
        for cause in causes or ()
        if isinstance(cause, dict) and cause.get("reason") == "FieldManagerConflict"
    )
    return errors.Conflict(text, managers=tuple(sorted({hit[1] for hit in found if hit})))


def _status(body: bytes) -> Mapping[str, Any]:
    """The answer as a `Status`; an answer that is not JSON is taken as its message."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        page = body[:_LONGEST].decode(errors="replace").strip()
        return {"message": redaction.excerpt(page, _LONGEST_PAGE)}
    return said if isinstance(said, dict) else {}
