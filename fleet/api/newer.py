"""What a newer version may have written into a status: words that we do not know.

Used by the models of statuses only; in a spec such a word is refused. A status stays readable when
an engine is taken back to an older version, and for a hub that is older than its members: who could
not read it would begin anew. Fields that we do not know are left out by `meta`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BeforeValidator, WithJsonSchema


def words(*known: str) -> WithJsonSchema:
    """For a text: it is one of these words, or another one, which is kept as it is."""
    return WithJsonSchema({"type": "string", "enum": list(known)})


def otherwise(default: str | None, *known: str) -> BeforeValidator:
    """For a choice: any other word than `known` is read as `default`."""

    def read(value: object) -> object:
        return default if isinstance(value, str) and value not in known else value

    return BeforeValidator(read)


def phase(status: Mapping[str, Any], on_the_way: Iterable[str]) -> str:
    """For a phase that nobody here knows: the last one of the same revision that is `on_the_way`,
    else the first of them. No revision has come to its end because we cannot say where it is."""
    known, revision = tuple(on_the_way), status.get("currentPodHash")
    decided = (x for x in reversed(status.get("decisions") or ()) if x.get("revision") == revision)
    return next((x["phase"] for x in decided if x.get("phase") in known), known[0])
