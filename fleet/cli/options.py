"""Options that several commands share, and the reading of their values."""

from pathlib import Path
from typing import Annotated

import typer

from fleet import errors
from fleet.kit import durations

HubKubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--hub-kubeconfig", help="Kubeconfig of the hub; default: as kubectl.", exists=True
    ),
]
OnlyKubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig", "--hub-kubeconfig", help="Kubeconfig of the hub; default: as kubectl."
    ),
]
"""Where no other kubeconfig is meant."""
OnlyContext = Annotated[str, typer.Option("--context", "--hub-context", help="Context of the hub.")]
HubContext = Annotated[str, typer.Option("--hub-context", help="Context of the hub.")]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="Kubeconfig of the cluster; default: as kubectl."),
]
Context = Annotated[str, typer.Option("--context", help="Context in the kubeconfig.")]
Place = Annotated[
    str, typer.Option("--namespace", "-n", help="Namespace; default: that of the context.")
]
NoColor = Annotated[bool, typer.Option("--no-color", help="Marks and words only, no colours.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Stay until it is done, failed, or waits for a person.")
]
TimeOut = Annotated[
    str, typer.Option("--timeout", help="Longest stay, e.g. 10m; exit code 3 when it is over.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="table, wide, json, yaml or name.")]


def span(text: str, option: str = "--timeout") -> float | None:
    """`10m` in seconds, None for an empty text. Raises UserError that says what to write."""
    if not text:
        return None
    try:
        return float(durations.seconds(text))
    except ValueError as error:
        raise errors.UserError("Usage", f"{option}: {error}") from None


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
