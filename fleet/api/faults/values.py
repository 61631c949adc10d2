"""Faults of single values, wherever they stand: what their models let through.

Called by the other faults, and by both cores for fields of their own.
"""

from collections.abc import Iterator

from fleet.kit import amounts, durations

Fault = tuple[str, str]
"""A path, and a sentence that goes on after it."""


def duration(path: str, text: str | None, *, allow_zero: bool = False) -> Iterator[Fault]:
    """`30s` and the like, in its range; nothing to say of what is left out."""
    if text is None:
        return
    try:
        durations.parse(text, allow_zero=allow_zero)
    except ValueError as error:
        yield path, f"{error}, or 0s for none" if allow_zero else str(error)


def amount(path: str, value: str | int | None) -> Iterator[Fault]:
    """A number, or a percentage of a total; nothing to say of what is left out."""
    if value is not None and not amounts.is_valid(value):
        yield (
            path,
            f"{value!r} is no amount; "
            "write a whole number (2), or a percentage from 0% to 100% (25%)",
        )
