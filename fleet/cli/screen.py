"""Where lines go: a terminal of some width with colours, or a file without both.

Used by commands that draw. On a terminal nothing is wider than it: what is printed is folded, what
is drawn over and over is cut. In a file lines are as long as they are.
"""

import sys
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from fleet.cli import page


class Screen:
    """Standard output. `plain` leaves out colours; a NO_COLOR in the environment does it too."""

    def __init__(self, *, plain: bool = False) -> None:
        self._console = Console(
            file=sys.stdout, no_color=plain or None, highlight=False, markup=False, emoji=False
        )

    @property
    def is_live(self) -> bool:
        """Whether what stands there can be drawn over."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    @property
    def width(self) -> int | None:
        """Cells of a line; None where lines have no end."""
        return self._console.width if self._console.is_terminal else None

    def show(self, lines: Sequence[Text]) -> None:
        """Print them, one below the other."""
        width = self.width
        for line in lines:
            for part in [line] if width is None else page.folded(line, width):
                self._console.print(part, soft_wrap=True)

    def live(self) -> Live:
        """A picture that `draw` changes; it stays when it is left."""
        return Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def draw(self, live: Live, lines: Sequence[Text]) -> None:
        """Put `lines` in the place of what was there; what does not fit in height is left out."""
        height = max(self._console.height - 1, 1)
        shown: list[RenderableType] = []
        for line in lines[:height]:
            copy = line.copy()
            copy.truncate(self._console.width, overflow="ellipsis")
            shown.append(copy)
        live.update(Group(*shown), refresh=True)
