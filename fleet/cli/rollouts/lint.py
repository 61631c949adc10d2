"""`fleet rollout lint`: everything that is wrong with Rollouts in files; needs no cluster.

Says the same as the API server would, and more: all problems at once, each with its place in the
file and what to write instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from fleet.api import names
from fleet.api.structure import Problem
from fleet.cli import codes, files, options, page, tables
from fleet.cli.screen import Screen
from fleet.cli.tables import Tone
from fleet.errors import UserError
from fleet.kit import documents
from fleet.kulta.core.feedback import linting

RENDER = "fleet render -f FILE --cluster NAME says what is wrong with an Application"
"""An Application is complete only with its Fleet and in a cluster: it is not judged here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file: what it is and what is wrong with it."""

    file: str
    number: int
    """From 1 in its file."""
    title: str
    """`Rollout shop/checkout`."""
    problems: tuple[Problem, ...] = ()
    passed_over: bool = False
    """Another kind, or nothing: not looked at."""
    instead: str = ""
    """Which command looks at what is passed over."""


def lint(
    given: Annotated[
        list[str], typer.Option("--file", "-f", help="A file, a folder of YAML files, or -.")
    ],
    output: Annotated[str, options.forms("table", "json", "yaml")] = "table",
    no_color: options.NoColor = False,
) -> None:
    """Say everything that is wrong with the Rollouts in files; exit with 1 if anything is, or if
    they hold no Rollout."""
    tables.check(output, ("table", "json", "yaml"))
    found = [item for name, content in files.found(given) for item in read(name, content)]
    if output == "table":
        Screen(plain=no_color).show(lines(found))
    else:
        typer.echo(tables.document(listed(found), output), nl=False)
    if all(item.passed_over for item in found):
        what = f"no Rollout of {names.ROLLOUTS.api_version} in the files"
        instead = next((f"; {item.instead}" for item in found if item.instead), "")
        raise UserError("NotFound", f"{what}: nothing was checked{instead}")
    if any(item.problems for item in found):
        raise typer.Exit(codes.FAILED)


def read(name: str, content: bytes) -> Iterator[Document]:
    """The documents of a file, those inside of a List too."""
    number = 0
    try:
        for found in documents.every(files.text(content), once=True):
            for item in files.inside(found):
                number += 1
                yield _document(name, number, item)
    except files.UNREADABLE as error:
        problem = Problem(path="", text=files.fault(error))
        yield Document(file=name, number=number + 1, title="document", problems=(problem,))


def foreign(found: Mapping[str, Any]) -> str:
    """Why a Rollout is none of ours, such as one of Argo Rollouts; empty: it is, or may be."""
    version = str(found.get("apiVersion") or "")
    group = version.partition("/")[0]
    if group in (names.KULTA_GROUP, ""):
        return ""
    return f"apiVersion {version} is another kind of Rollout: write {names.ROLLOUTS.api_version}"


def _document(name: str, number: int, found: Any) -> Document:
    kind = str(found.get("kind") or "") if isinstance(found, Mapping) else ""
    if kind != names.ROLLOUTS.kind or foreign(found):
        group = str(found.get("apiVersion") or "").partition("/")[0] if kind else ""
        title = f"{kind or 'nothing'} of {group}" if group else kind or "nothing"
        ours = (group, kind) == (names.FLEET_GROUP, names.APPLICATIONS.kind)
        return Document(
            file=name,
            number=number,
            title=title,
            passed_over=True,
            instead=RENDER if ours else foreign(found) if kind == names.ROLLOUTS.kind else "",
        )
    about = found.get("metadata")
    about = about if isinstance(about, dict) else {}
    title = "/".join(str(about[key]) for key in ("namespace", "name") if about.get(key))
    problems = linting.problems(found)
    return Document(file=name, number=number, title=f"Rollout {title}".strip(), problems=problems)


def lines(found: Sequence[Document]) -> list[Text]:
    """For people: a line per document, and one per problem below it."""
    result = []
    for item in found:
        where = f"{item.file}#{item.number}"
        if item.passed_over:
            said = f"passed over; {item.instead}" if item.instead else "passed over"
            result.append(Text(f"{Tone.OPEN.mark} {where}  {item.title}: {said}", page.FAINT))
            continue
        tone = Tone.BAD if item.problems else Tone.GOOD
        count = len(item.problems)
        said = f": {count} problem{'s' * (count != 1)}" if count else ""
        result.append(page.text(page.marked(tone, where), f"  {item.title}{said}"))
        for problem in item.problems:
            joint = "" if problem.text.startswith(":") or not problem.path else " "
            result.append(page.text("    ", (problem.path, "yellow"), f"{joint}{problem.text}"))
    return result


def listed(found: Sequence[Document]) -> list[dict[str, Any]]:
    """For programs: every document that was looked at."""
    return [
        {
            "file": item.file,
            "document": item.number,
            "object": item.title,
            "problems": [{"path": x.path, "message": str(x)} for x in item.problems],
        }
        for item in found
        if not item.passed_over
    ]
