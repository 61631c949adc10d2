"""What a person sees of the demo: chapters, kubectl's own lines, measured traffic, verdicts.

Only prints. A terminal gets colours; a pipe gets the same words.
"""

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.text import Text

BAR = 24
"""Characters of a bar that stands for all requests."""
COLOURS = {"v1": "cyan", "v2": "green", "v3": "red"}


class Screen:
    """A scrolling account with the seconds since it began."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.begin = time.monotonic()
        self._rows: dict[str, str] = {}
        self._shares: dict[str, str] = {}

    def chapter(self, title: str) -> None:
        """Something new begins."""
        self.console.print(f"\n[bold]{title}[/bold]  [dim]{self._clock()}[/dim]")

    def line(self, text: str, style: str = "") -> None:
        """One fact."""
        self.console.print(Text(f"  {text}", style=style))

    def lines(self, *texts: str) -> None:
        """What a command has said."""
        for line in "".join(texts).splitlines():
            self.line(line)

    def kubectl(self, line: str) -> None:
        """A line that `kubectl get fleetrollouts --watch` printed, once per change."""
        key, _, rest = line.partition(" ")
        shown = rest.rsplit(None, 1)[0] if key != "NAME" else rest  # the AGE always changes
        if self._rows.get(key) == shown:
            return
        self._rows[key] = shown
        self.console.print(Text(f"  {line}", style="bold dim" if key == "NAME" else ""))

    def shares(self, member: str, shares: Mapping[str, float]) -> None:
        """Who answered a member's requests lately, when that has changed visibly."""
        words = Text(f"    {member:6} ")
        plain = ""
        for version, share in shares.items():
            cells = "█" * max(round(share * BAR), 1)
            words.append(f"{cells} ", style=COLOURS.get(version[:2], "yellow"))
            words.append(f"{version} {share:.0%}  ")
            plain += f"{version}{round(share * 10)}"
        if plain and self._shares.get(member) != plain:
            self._shares[member] = plain
            self.console.print(words)

    def verdicts(self, claims: Sequence[tuple[bool, str, str]]) -> None:
        """Each claim with what was measured."""
        self.chapter("Verdicts, judged from audit logs, Envoy's counters and the load generator")
        for held, claim, evidence in claims:
            mark = Text("  ✓ " if held else "  ✗ ", style="bold green" if held else "bold red")
            self.console.print(mark + Text(claim))
            self.console.print(Text(f"      {evidence}", style="dim"))

    def end(self, claims: Sequence[tuple[bool, str, str]], trouble: BaseException | None) -> bool:
        """The last words: whether all is well, or every reason why not."""
        broken = [f"{claim}: {evidence}" for held, claim, evidence in claims if not held]
        if trouble is not None:
            self.console.print(Text("".join(traceback.format_exception(trouble)), style="dim"))
            broken += [f"{type(one).__name__}: {one}" for one in _leaves(trouble)]
        elif not claims:
            broken = ["no claim was judged"]
        if not broken:
            self.console.print(Text(f"\nAll {len(claims)} claims held.", style="bold green"))
            return True
        self.console.print(Text("\nThe demo failed:", style="bold red"))
        for reason in broken:
            self.console.print(Text(f"  ✗ {reason}", style="red"))
        return False

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self.begin)
        return f"{seconds // 60}:{seconds % 60:02}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What went wrong, without the groups around it."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
