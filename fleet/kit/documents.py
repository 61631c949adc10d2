"""YAML texts of strangers: read at the speed of C, and never a crash.

Called for kubeconfigs, for what templates print, and for files of the command line. libyaml's
loader follows nesting on the C stack, so that a text of a hundred thousand brackets would end the
whole process: the depth is looked at first. Never quotes the text.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent

DEEPEST = 100
"""Levels of nesting; objects of Kubernetes have a dozen."""
HARMLESS = 1_000
"""Levels that the stack of every thread holds many times over."""


def every(text: str) -> Iterator[Any]:
    """The documents of `text`, empty ones as None, each when it is asked for.

    Raises yaml.YAMLError for what is no YAML, RecursionError for what is nested too deeply, and
    ValueError for a scalar that is none, such as the 31st of February.
    """
    _look(text)
    return yaml.load_all(text, Loader=yaml.CSafeLoader)


def one(text: str) -> Any:
    """The one document of `text`. Raises what `every` does, and YAMLError for a second one."""
    _look(text)
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _look(text: str) -> None:
    """Raises RecursionError where the loader would have to go too deep; costs little if not."""
    if _most_levels(text) <= HARMLESS:
        return
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise RecursionError(f"more than {DEEPEST} levels")
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _most_levels(text: str) -> int:
    """Above the depth of `text`: a level in blocks takes a blank of its line or is the item of a
    list as far in as its key; a level in flow takes a bracket or a brace."""
    blanks = max((line.count(" ") + line.count("\t") for line in text.splitlines()), default=0)
    return 2 * (blanks + 1) + text.count("[") + text.count("{")
