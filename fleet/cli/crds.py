"""`fleet crds`: write the CRDs from the models, or say whether the written ones are current.

For developers and for whoever installs from the wheel (`fleet crds write DIR && kubectl apply -f
DIR`). It never talks to a cluster.
"""

from pathlib import Path
from typing import Annotated

import typer

from fleet import settings
from fleet.api import schema

app = typer.Typer(no_args_is_help=True, add_completion=False)

Folder = Annotated[
    Path | None, typer.Argument(help="Where the files are; default: the CRDs of this installation.")
]


@app.command("write")
def write_command(folder: Folder = None) -> None:
    """Write one file per kind; files of other names stay as they are."""
    for path in write(folder or settings.files("crds")):
        typer.echo(f"{path} {path.stat().st_size} bytes")


@app.command("check")
def check_command(folder: Folder = None) -> None:
    """Exit with 1 if a file is missing, foreign or differs from what `write` would write."""
    problems = check(folder or settings.files("crds"))
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)


def write(folder: Path) -> list[Path]:
    """Write the CRDs into `folder`, which is made if need be; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in schema.files().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def check(folder: Path) -> list[str]:
    """A sentence for each file of `folder` that is not what the models generate."""
    wanted = schema.files()
    found = {path.name: path for path in sorted(folder.glob("*.yaml"))}
    problems = [f"{found[name]} belongs to no kind: remove it" for name in found.keys() - wanted]
    for name, text in wanted.items():
        if name not in found:
            problems.append(f"{folder / name} is missing: run `fleet crds write`")
        elif found[name].read_text(encoding="utf-8") != text:
            problems.append(f"{found[name]} is not current: run `fleet crds write`")
    return sorted(problems)
