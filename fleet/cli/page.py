"""Lines with colours, for commands that draw: columns, labelled paragraphs, bars.

Everything here makes values (`rich.text.Text`) from values and knows no terminal; `screen` prints
them. A width of None is paper without an edge: what goes into a file or a pipe.
"""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from fleet.cli.tables import GAP, Tone

Cells = Sequence[Text | str]
HEAD, FAINT, STRONG = "dim", "dim", "bold"
FULL, REST = "█", "░"
HANG = 4
"""How much further in a line goes on."""


def marked(tone: Tone, words: str) -> Text:
    """`✔ Completed`, in the colour of its tone."""
    return text((" ".join(filter(None, (tone.mark, words))), tone.style))


def text(*parts: Text | str | tuple[str, str]) -> Text:
    """One line of several parts; a pair is words and their style."""
    return Text.assemble(*parts)


def columns(head: Sequence[str], rows: Iterable[Cells], gap: str = GAP) -> list[Text]:
    """Rows under a head, as wide as their widest cell; the last column has no end."""
    cells = [[Text(item, style=HEAD) for item in head]]
    cells += [[Text(item) if isinstance(item, str) else item for item in row] for row in rows]
    widths = [max(item.cell_len for item in column) for column in zip(*cells, strict=True)]
    return [_joined(row, widths, len(gap)) for row in cells]


def _joined(row: Sequence[Text], widths: Sequence[int], gap: int) -> Text:
    line, room = Text(), 0
    for item, width in zip(row, widths, strict=True):
        if item.cell_len:
            line.append(" " * (room - line.cell_len)).append_text(item)
        room += width + gap
    return line


def labelled(label: str, said: Text | str, width: int | None, *, indent: int = 11) -> list[Text]:
    """A paragraph beside its label, folded at `width` with the following lines under the first."""
    body = Text(said) if isinstance(said, str) else said
    room = 100_000 if width is None else max(width - indent, 20)
    lines = body.wrap(Console(width=room), room) or [Text()]
    first = text((label.ljust(indent), FAINT))  # a style of its own, not of the whole line
    heads = [first, *(Text(" " * indent) for _ in lines)]
    result = [head.append_text(line) for head, line in zip(heads, lines, strict=False)]
    for line in result:
        line.rstrip()
    return result


TAB = 8
"""Cells between two stops of a terminal."""


def folded(line: Text, width: int) -> list[Text]:
    """A line on as many of that width as it needs, those that follow further in."""
    line = line.copy()
    line.expand_tabs(TAB)  # as they are printed: what is left of the line is found by its length
    if line.cell_len <= width:
        return [line]
    indent = min(len(line.plain) - len(line.plain.lstrip()) + HANG, width // 2)
    first = line.wrap(Console(width=width), width)[0]
    rest = line[len(first.plain) :]
    rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
    if not rest:
        return [first]
    room = width - indent
    parts = rest.wrap(Console(width=room), room)
    return [first, *(Text(" " * indent).append_text(part) for part in parts)]


def bar(percent: int, width: int, style: str) -> Text:
    """`percent` (0…100) of `width` cells are full."""
    full = round(width * max(0, min(percent, 100)) / 100)
    return Text.assemble((FULL * full, style), (REST * (width - full), FAINT))
