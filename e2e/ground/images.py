"""Which program stands for which container image: the local node pulls nothing.

A table maps the beginning of an image name to a program; the longest beginning wins. In the words
of a program `{image}` and `{tag}` stand for the image's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A program with what it needs of its surroundings. `argv[0]` is an absolute path."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


Images = Callable[[str], Image | None]
"""The program of an image; None = there is no such image."""


def tag(image: str) -> str:
    """`v2` of `registry.example.com:5000/shop/checkout:v2`; `latest` when there is none."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2] or "latest"


def table(entries: Mapping[str, Image | Sequence[str]]) -> Images:
    """Look images up by the longest key that they begin with."""
    programs = {
        start: entry if isinstance(entry, Image) else Image(argv=tuple(entry))
        for start, entry in entries.items()
    }

    def find(image: str) -> Image | None:
        starts = [start for start in programs if image.startswith(start)]
        if not starts:
            return None
        program = programs[max(starts, key=len)]
        words = (word.replace("{image}", image) for word in program.argv)
        return replace(program, argv=tuple(word.replace("{tag}", tag(image)) for word in words))

    return find
