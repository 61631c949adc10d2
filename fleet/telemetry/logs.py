"""Logging, set up once: constant messages, key-value context, and no secrets.

`wiring` calls `configure`; runtimes bind what they work on (`with bind(cluster=…, run=…):`) and
every line inside carries it. The core never logs, it returns reasons.

Everything that leaves passes `redact`, and a field that is called like a secret shows nothing. That
is the last net, not the first: nobody logs credentials on purpose.
"""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TextIO

import orjson

from fleet.kit.redaction import HIDDEN, redact

_context: ContextVar[Mapping[str, str]] = ContextVar("log", default=MappingProxyType({}))

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def bind(**context: str) -> "Bound":
    """Add key-value context to every line logged inside, in this task and those it starts."""
    return Bound(context)


class Bound:
    """What `bind` returns, to be entered once; a generator would take three times as long."""

    __slots__ = ("_given", "_token")

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def __enter__(self) -> None:
        self._token = _context.set({**_context.get(), **self._given})

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)


def configure(level: int, *, json: bool, stream: TextIO | None = None) -> None:
    """Send the root logger to `stream` (standard error by default), one line per record.

    `level` is a number of `logging`; libraries below WARNING are silent unless it is DEBUG.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if json else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("aiohttp", "asyncio", "httpx", "httpcore", "kopf", "kubernetes"):
        logging.getLogger(library).setLevel(level if level <= logging.DEBUG else logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    own = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {**_context.get(), **own}


class _Json(logging.Formatter):
    """One JSON object per line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        for key, value in _fields(record).items():
            line.setdefault(key, _safe(key, value))
        return orjson.dumps(line, default=str).decode()


class _Text(logging.Formatter):
    """`time LEVEL message key=value …`, for eyes."""

    def format(self, record: logging.LogRecord) -> str:
        pairs = "".join(f" {key}={_safe(key, value)}" for key, value in _fields(record).items())
        text = f"{_stamp(record)} {record.levelname:<7} {redact(record.getMessage())}{pairs}"
        if record.exc_info:
            text += "\n" + redact(self.formatException(record.exc_info))
        return text


def _safe(key: str, value: Any) -> Any:
    """A field's value, hidden when its name or its text says secret; numbers stay numbers."""
    if isinstance(value, bool | int | float | None):
        return value
    return HIDDEN if _is_secret(key) else redact(str(value))


@lru_cache(maxsize=1_024)
def _is_secret(key: str) -> bool:
    field = f"{key}=value"
    return redact(field) != field


def _stamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
