"""Options that several commands share, and the reading of their values."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet import errors
from fleet.api import names
from fleet.cli import tables
from fleet.kit import durations


def offered(*words: str) -> Callable[[str], list[str]]:
    """Completion of an option that takes one of these words."""

    def begun(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return begun


def forms(*words: str) -> Any:
    """The option `-o` of a command that has these forms."""
    said = f"{', '.join(words[:-1])} or {words[-1]}."
    return typer.Option("--output", "-o", help=said, autocompletion=offered(*words))


def complete_namespace(context: typer.Context, incomplete: str) -> list[str]:
    """Namespaces of the cluster of the line; none where one may not list them."""
    from fleet.cli import access  # noqa: PLC0415 - most commands do without

    given = context.params
    file = given.get("hub_kubeconfig") or given.get("kubeconfig")
    where = given.get("hub_context") or given.get("context") or None
    try:
        with access.connect(file, where, role="cluster") as found:
            known = [str(item["metadata"]["name"]) for item in found.list(names.NAMESPACES)]
    except errors.FleetError:
        return []  # a shell that completes has no room for words
    return [name for name in known if name.startswith(incomplete)]


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
    str,
    typer.Option(
        "--namespace",
        "-n",
        help="Namespace; default: that of the context.",
        autocompletion=complete_namespace,
    ),
]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Marks and words only, no colours.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Stay until it is done, failed, or waits for a person.")
]
TimeOut = Annotated[
    str, typer.Option("--timeout", help="Longest stay, e.g. 10m; exit code 3 when it is over.")
]
Output = Annotated[str, forms(*tables.FORMS)]


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
