"""Options that several commands share, and the reading of their values."""

from pathlib import Path
from typing import Annotated

import typer

from fleet import errors

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace in the hub.")]
HubKubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--hub-kubeconfig", help="Kubeconfig of the hub; default: as kubectl.", exists=True
    ),
]
HubContext = Annotated[str, typer.Option("--hub-context", help="Context of the hub.")]
Output = Annotated[str, typer.Option("--output", "-o", help="table, wide, json, yaml or name.")]


def pairs(text: str, option: str) -> dict[str, str]:
    """`a=1,b=2` as a dictionary. Raises UserError that names the option and the wrong part."""
    result: dict[str, str] = {}
    for part in text.split(","):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise errors.UserError("Usage", f"{option} {part!r}: write key=value, key=value, …")
        result[key.strip()] = value.strip()
    return result
