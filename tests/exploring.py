"""Every state that a small world can come to, each looked at once: no luck, no sample.

A world says what can happen next in it (`Way`), and which of that happens where nothing goes wrong
any more. `explore` goes all of these ways, breadth first, so that the way to a fault is the
shortest there is; states that differ in nothing that matters are one. Then it follows the healing
ways alone: from every state they must lead to an end.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

State = TypeVar("State")

MOST = 200_000
"""More states than any search here has time for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way(Generic[State]):
    """Something that can happen."""

    name: str
    to: State
    heals: bool = False
    """It happens by itself, or somebody who means well does it; at most one way of a state."""


@dataclass(slots=True, kw_only=True)
class Atlas:
    """What a search has seen."""

    depths: dict[Hashable, int] = field(default_factory=dict)
    """State → steps on the shortest way to it."""
    origins: dict[Hashable, tuple[Hashable | None, str]] = field(default_factory=dict)
    """State → the one before it, and what happened there."""
    healings: dict[Hashable, Hashable | None] = field(default_factory=dict)
    """State → where it leads when nothing goes wrong; None: it is an end."""
    names: dict[Hashable, str] = field(default_factory=dict)
    """State → what the healing way is called."""
    ways: int = 0

    def __str__(self) -> str:
        ends = sum(after is None for after in self.healings.values())
        depth = max(self.depths.values())
        return f"{len(self.depths)} states, {self.ways} ways, {ends} ends, depth {depth}"

    def story(self, state: Hashable | None) -> str:
        """How it came to that: `image → engine → a pod is ready`."""
        names: list[str] = []
        while state is not None:
            state, name = self.origins[state]
            names.append(name)
        return " → ".join(reversed(names))


def explore(
    start: State,
    ways: Callable[[State], Iterable[Way[State]]],
    identity: Callable[[State], Hashable],
) -> Atlas:
    """All that can come of `start`. An AssertionError of `ways` gets the way to it as a note."""
    first = identity(start)
    atlas = Atlas(depths={first: 0}, origins={first: (None, "start")})
    level = [(first, start)]
    while level:
        found: list[tuple[Hashable, State]] = []
        for key, state in level:
            atlas.healings[key] = None
            for way in _followed(ways, state, atlas, key):
                atlas.ways += 1
                after = identity(way.to)
                if way.heals:
                    atlas.healings[key], atlas.names[key] = after, way.name
                if after not in atlas.depths:
                    atlas.depths[after] = atlas.depths[key] + 1
                    atlas.origins[after] = (key, way.name)
                    found.append((after, way.to))
        assert len(atlas.depths) < MOST, "this world is not small"
        level = found
    _heal(atlas)
    return atlas


def _followed(
    ways: Callable[[State], Iterable[Way[State]]], state: State, atlas: Atlas, key: Hashable
) -> Iterable[Way[State]]:
    try:
        yield from ways(state)
    except Exception as error:
        error.add_note(f"after: {atlas.story(key)}")
        raise


def _heal(atlas: Atlas) -> None:
    """From everywhere the healing ways lead to an end."""
    good: set[Hashable] = {key for key, after in atlas.healings.items() if after is None}
    for key in atlas.healings:
        path: dict[Hashable, None] = {}
        here: Hashable | None = key
        while here is not None and here not in good:
            assert here not in path, f"it never ends: {atlas.story(here)}; {_round(atlas, here)}"
            path[here] = None
            here = atlas.healings[here]
        good.update(path)


def _round(atlas: Atlas, state: Hashable) -> str:
    """What happens again and again."""
    names, here = [], state
    while not names or here != state:
        after = atlas.healings[here]
        assert after is not None
        names.append(atlas.names[here])
        here = after
    return f"then for ever: {' → '.join(names)}"
