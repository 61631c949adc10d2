"""The sentence under each field of a model, for the schemas: read from the source when asked for.

pydantic can read them too, but while the models are built: two fifths of the time that every
process needs to import them, for words that only `fleet crds` prints. Called by `api.meta`.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise


def under(model: type) -> Mapping[str, str]:
    """Name of a field → the text that stands under it, in `model` or where it inherits it from."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        body = _bodies(kind.__module__).get(kind.__qualname__, [])
        found.update(_sentences(body))
    return found


def _sentences(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)


@cache
def _bodies(module: str) -> Mapping[str, list[ast.stmt]]:
    """Class → its statements; nothing for modules that are not ours."""
    if module.partition(".")[0] != __name__.partition(".")[0]:
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
