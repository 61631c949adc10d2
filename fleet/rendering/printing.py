"""What templates print, read as YAML: the one part of rendering in which a stranger's text runs.

Called by `render`, and by the process of `wiring.cell` for the templates of tenants. It knows no
model and no cluster; who calls it looks at what comes out. Its errors name template and line.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError
from yaml.error import MarkedYAMLError

from fleet.errors import UserError
from fleet.kit import documents
from fleet.rendering.environment import TemplateSet, environment

OUTPUT_LIMIT = 1_048_576
"""Most bytes that all templates of one member may print together."""

WORDS = 400
"""Most letters of an error: a template may put anything into one."""

TOO_MUCH = "more memory than there is"

MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    SyntaxError,
    TemplateError,
    TypeError,
    ValueError,
)
"""What a template can provoke, beside taking too much of something."""

Document = dict[str, Any]


def printed(
    templates: TemplateSet, names: Sequence[str], values: Mapping[str, Any]
) -> Iterator[tuple[str, Document]]:
    """(template, document) of all that these templates print, in their order.

    Raises UserError `TemplateError`.
    """
    left = OUTPUT_LIMIT
    for name in names:
        text = _text(templates, name, values, left)
        left -= len(text.encode())
        for document in _documents(text, f"template {name}"):
            yield name, document


def error(message: str) -> UserError:
    """What is wrong with a template, in a sentence that begins with its name."""
    return UserError("TemplateError", message)


def _text(templates: TemplateSet, name: str, values: Mapping[str, Any], limit: int) -> str:
    """The text of a template, read in pieces so that an endless one stops at the limit."""
    pieces: list[str] = []
    size = 0
    try:
        for piece in environment(templates).get_template(name).generate(**values):
            size += len(piece.encode())
            if size > limit:
                raise error(f"template {name}: more than {OUTPUT_LIMIT} bytes of output")
            pieces.append(piece)
    except TemplateSyntaxError as wrong:
        here = f"template {wrong.name or name} line {wrong.lineno}"
        raise error(f"{here}: {_cut(wrong.message)}") from None
    except TemplateNotFound as wrong:
        here = _place(wrong, templates, name)
        raise error(f"{here}: there is no template {_cut(str(wrong.name))}") from None
    except MISTAKES as wrong:
        raise error(f"{_place(wrong, templates, name)}: {_cut(str(wrong))}") from None
    except RecursionError as wrong:
        raise error(f"{_place(wrong, templates, name)}: calls itself too often") from None
    except (MemoryError, TimeoutError) as wrong:  # where the process is limited
        told = str(wrong) or TOO_MUCH
        raise error(f"{_place(wrong, templates, name)}: {told}") from None
    return "".join(pieces)


def _place(wrong: BaseException, templates: TemplateSet, name: str) -> str:
    """`template services.yaml.j2 line 4`: the innermost frame that is a line of a template."""
    found = f"template {name}"
    trace = wrong.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file in templates.names:
            found = f"template {file} line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= WORDS else f"{text[:WORDS]}…"


def _documents(text: str, where: str) -> Iterator[Document]:
    try:
        for document in documents.every(text, aliases=False):
            if document is None:
                continue
            if not isinstance(document, dict):
                raise error(f"{where}: a document is not an object")
            yield document
    except MarkedYAMLError as wrong:
        mark = wrong.problem_mark
        line = f" (line {mark.line + 1} of its output)" if mark else ""
        raise error(f"{where}: not YAML: {_cut(wrong.problem)}{line}") from None
    except (yaml.YAMLError, ValueError) as wrong:
        raise error(f"{where}: not YAML: {_cut(str(wrong))}") from None
    except RecursionError:
        raise error(f"{where}: is nested too deeply") from None
    except (MemoryError, TimeoutError) as wrong:
        raise error(f"{where}: {str(wrong) or TOO_MUCH}") from None
