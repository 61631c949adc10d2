"""What a template can provoke is an error with its name and line, never a crash or a long text."""

from typing import Any

import pytest

from fleet.errors import UserError
from fleet.rendering import printing
from fleet.rendering.environment import TemplateSet

DEEP = "{% for a in range(2) %}" * 30 + "{% endfor %}" * 30
MACROS = "\n{% macro m(x) %}{{ x / 0 }}{% endmacro %}"


class Greedy(dict[str, Any]):
    """Stands in for a limit that is passed in the midst of a template."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getitem__(self, name: str) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("\n{{ '{a}'.format() }}", "t.j2 line 2: 'a'", id="a key that is missing"),
        pytest.param(
            "{{ '{0.__class__}'.format('x') }}",
            "t.j2 line 1: access to attribute '__class__' of 'str' object is unsafe.",
            id="a way out through a format",
        ),
        pytest.param(
            "{{ range.__globals__ }}",
            "t.j2 line 1: access to attribute '__globals__' of 'function' object is unsafe.",
            id="a way out through a function",
        ),
        pytest.param(
            "{{ self.__init__ }}",
            "t.j2 line 1: access to attribute '__init__' of 'TemplateReference' object is unsafe.",
            id="a way out through the template",
        ),
        pytest.param("{{ x.pop('y') }}", "t.j2 line 1: ", id="a value that is changed"),
        pytest.param("{{ lipsum() }}", "t.j2 line 1: 'lipsum' is undefined", id="Jinja's own"),
        pytest.param(DEEP, "t.j2: too many statically nested blocks", id="30 loops"),
        pytest.param(f"{{{{ {'(' * 2_000}1{')' * 2_000} }}}}", "t.j2: calls ", id="2,000 brackets"),
        pytest.param(
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "t.j2 line 1: calls itself too often",
            id="a macro that calls itself",
        ),
        pytest.param(
            "{% import 'm.j2' as m %}\n{{ m.m(1) }}",
            "m.j2 line 2: division by zero",
            id="a mistake in what it imports",
        ),
        pytest.param("{% include 'bad.j2' %}", "bad.j2 line 1: Expected ", id="and one in writing"),
        pytest.param(
            "\n{{ memory.all }}", "t.j2 line 2: more memory than there is", id="too much memory"
        ),
        pytest.param("{{ time.out }}", "t.j2 line 1: more than 1 s", id="too much time"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, words: str) -> None:
    values = {
        "x": {"y": 1},
        "memory": Greedy(MemoryError()),
        "time": Greedy(TimeoutError("more than 1 s")),
    }
    files = {"t.j2": text, "m.j2": MACROS, "bad.j2": "{% if %}"}
    with pytest.raises(UserError) as caught:
        list(printing.printed(TemplateSet.of(files), ["t.j2"], values))
    assert caught.value.reason == "TemplateError"
    assert str(caught.value).startswith(f"template {words}")


def test_a_template_cannot_fill_an_error() -> None:
    files = {"t.j2": "{% include 'x' * 1000000 %}"}
    with pytest.raises(UserError) as caught:
        list(printing.printed(TemplateSet.of(files), ["t.j2"], {}))
    assert len(str(caught.value)) < 500
