"""YAML texts of strangers: read at the speed of C, and never a crash.

Called for kubeconfigs, for what templates print, and for files of the command line, which are read
and written as kubectl reads them. libyaml's
loader follows nesting on the C stack, so that a text of a hundred thousand brackets would end the
whole process, and nine lines of aliases are a billion values once they are written as JSON: both
are looked for first. Never quotes the text.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, ScalarNode

from fleet.kit import scalars

DEEPEST = 100
"""Levels of nesting; objects of Kubernetes have a dozen."""
HARMLESS = 1_000
"""Levels that the stack of every thread holds many times over."""
TWICE = "a key comes twice: keep one"
TOO_MUCH = "its aliases stand for too much: write out what you mean"
ADDED = 100_000
"""Values that aliases may add to a document; they are there to save some lines."""
UNREAL = "JSON has no such value: write another, or put it into quotes"
WITHIN = "while parsing a "
"""How libyaml begins to tell what it was at."""
ODD = "found character that cannot start any token"
PERHAPS = ": a tab where blanks belong, or a text that needs quotes"
"""What libyaml says of either, and what it does not."""


class _Once(yaml.CSafeLoader):
    """Refuses a key that comes twice in one mapping, of which the last would count in silence,
    and aliases with which the document would never be read to its end. Plain scalars are what they
    are to kubectl."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0]:
            return scalars.tag(value)
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def construct_document(self, node: Any) -> Any:
        _each_once(node)
        # A value takes a character at least, so that what is written out is always let through.
        if _extent(node, {})[0] > ADDED + node.end_mark.index - node.start_mark.index:
            raise MarkedYAMLError(problem=TOO_MUCH, problem_mark=node.start_mark)
        return super().construct_document(node)


def _known(read: Callable[[str], Any]) -> Callable[[_Once, ScalarNode], Any]:
    def construct(loader: _Once, node: ScalarNode) -> Any:
        found = read(node.value)
        if found is None:
            raise MarkedYAMLError(problem=UNREAL, problem_mark=node.start_mark)
        return found

    return construct


for _name in ("int", "float"):
    _Once.add_constructor(f"tag:yaml.org,2002:{_name}", _known(scalars.number))
for _name in ("str", "timestamp", "merge"):
    _Once.add_constructor(f"tag:yaml.org,2002:{_name}", _known(str))
_Once.add_constructor(scalars.BOOL, _known(scalars.TRUTHS.get))


class _Quoting(yaml.SafeDumper):
    """Puts into quotes what kubectl would take for another thing than a text."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        found = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return scalars.tag(value) if found == scalars.TEXT and implicit[0] else found


def _each_once(root: Any) -> None:
    """Looks before anchors are merged, after which a key may well come twice."""
    left, seen = [root], set[int]()
    while left:
        node = left.pop()
        if id(node) in seen or isinstance(node, ScalarNode):
            continue
        seen.add(id(node))
        if not isinstance(node, MappingNode):
            left += node.value
            continue
        known = set[tuple[str, str]]()
        for key, item in node.value:
            left.append(item)
            if key.tag == scalars.MERGE:  # each brings keys of its own
                continue
            mark = (key.tag, key.value) if isinstance(key, ScalarNode) else (key.tag, str(id(key)))
            if mark in known:
                raise MarkedYAMLError(problem=TWICE, problem_mark=key.start_mark)
            known.add(mark)


def _extent(node: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many values, and how many levels, a node is once its aliases are written out.

    Raises RecursionError for too many levels: what is in itself has no end.
    """
    if isinstance(node, ScalarNode):
        return 1, 0
    if id(node) not in known:
        known[id(node)] = 0, DEEPEST
        pairs = isinstance(node, MappingNode)
        parts = itertools.chain.from_iterable(node.value) if pairs else node.value
        values, levels = 1, 0
        for part in parts:
            more, below = _extent(part, known)
            values, levels = values + more, max(levels, below)
        if levels >= DEEPEST:
            raise RecursionError(f"more than {DEEPEST} levels")
        known[id(node)] = values, levels + 1
    return known[id(node)]


def every(text: str, *, aliases: bool = True, once: bool = False) -> Iterator[Any]:
    """The documents of `text`, empty ones as None, each when it is asked for.

    Raises yaml.YAMLError for what is no YAML, for aliases where they are not allowed, and with
    `once` for a key that comes twice and for aliases that stand for too much,
    RecursionError for what is nested too deeply, and ValueError for a scalar that is none, such as
    the 31st of February.
    """
    _look(text, aliases=aliases)
    return yaml.load_all(text, Loader=_Once if once else yaml.CSafeLoader)


def written(value: Any) -> str:
    """`value` as a document that PyYAML and kubectl read alike."""
    text: str = yaml.dump(value, Dumper=_Quoting, sort_keys=False)
    return text


def fault(error: Exception) -> str:
    """What is wrong and where, in one line: `line 7, column 3: a key comes twice: keep one`."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    said = error.problem or "it cannot be read"
    around, place = error.context_mark, error.problem_mark
    if around is not None and (error.context or "").startswith(WITHIN):
        said += f", in the {(error.context or '')[len(WITHIN) :]} of line {around.line + 1}"
    hint = PERHAPS if said == ODD else ""
    return f"line {place.line + 1}, column {place.column + 1}: {said}{hint}"


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
