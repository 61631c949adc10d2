"""YAML texts of strangers: read at the speed of C, and never a crash.

Called for kubeconfigs, for what templates print, and for files of the command line. libyaml's
loader follows nesting on the C stack, so that a text of a hundred thousand brackets would end the
whole process, and nine lines of aliases are a billion values once they are written as JSON: both
are looked for first. Never quotes the text.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

DEEPEST = 100
"""Levels of nesting; objects of Kubernetes have a dozen."""
HARMLESS = 1_000
"""Levels that the stack of every thread holds many times over."""


def every(text: str, *, aliases: bool = True) -> Iterator[Any]:
    """The documents of `text`, empty ones as None, each when it is asked for.

    Raises yaml.YAMLError for what is no YAML and for aliases where they are not allowed,
    RecursionError for what is nested too deeply, and ValueError for a scalar that is none, such as
    the 31st of February.
    """
    _look(text, aliases=aliases)
    return yaml.load_all(text, Loader=yaml.CSafeLoader)


def one(text: str) -> Any:
    """The one document of `text`. Raises what `every` does, and YAMLError for a second one."""
    _look(text, aliases=True)
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _look(text: str, *, aliases: bool) -> None:
    """Raises where the loader would go too deep or follow an alias; costs little if not."""
    if _most_levels(text) <= HARMLESS and (aliases or "*" not in text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, AliasEvent) and not aliases:
            words = "an alias is not allowed here: write the value out"
            mark: Any = event.start_mark  # libyaml's own, which the stubs do not know there
            raise MarkedYAMLError(problem=words, problem_mark=mark)
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
