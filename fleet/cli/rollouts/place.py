"""How a command gets at its Rollout: connection, namespace, name, completion of names.

Used by every command that talks to a cluster. The Kubernetes client is imported here and late, so
that `lint` and the list of commands do not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet import errors
from fleet.api import names
from fleet.cli.rollouts import family as families
from fleet.cli.rollouts.family import Family

if TYPE_CHECKING:
    from fleet.cli.access import Access

NO_KIND = "page not found"
"""What a server says of a kind that it does not know."""
PREFIXES = ("ro", "rollout", "rollouts", "rollout.kulta.io", "rollouts.kulta.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A namespace of a cluster."""

    access: Access
    namespace: str

    def rollout(self, name: str) -> dict[str, Any]:
        """The object of that name. Raises UserError where there is none."""
        try:
            return self.access.get(names.ROLLOUTS, name, self.namespace)
        except errors.NotFound as error:
            if NO_KIND in str(error):
                raise self._without_crd() from None
            text = (
                f"no Rollout {name} in namespace {self.namespace} of {self.access.server}: "
                "-n names another one, `fleet rollout get` lists them"
            )
            raise errors.UserError("NotFound", text) from None

    def family(self, name: str) -> Family:
        """The Rollout of that name with its sets and pods."""
        found = self.rollout(name)
        sets = self._labelled(names.REPLICASETS, name)
        return families.of(found, sets, self._labelled(names.PODS, name))

    def rollouts(self, namespace: str | None) -> list[dict[str, Any]]:
        """All Rollouts of a namespace, or of all namespaces, each with its kind."""
        try:
            items = self.access.list(names.ROLLOUTS, namespace)
        except errors.NotFound:
            raise self._without_crd() from None
        return [names.ROLLOUTS.head | item for item in items]

    def _without_crd(self) -> errors.UserError:
        text = f"{self.access.server} knows no Rollouts: kubectl apply -f crds/rollouts.yaml"
        return errors.UserError("NotFound", text)

    def _labelled(self, resource: names.Resource, name: str) -> list[dict[str, Any]]:
        """The objects that carry the Rollout's label, each with its kind."""
        path = resource.path(self.namespace)
        answer = self.access.request("GET", path, query=selector(name))
        return [resource.head | item for item in answer["items"]]


def selector(name: str) -> dict[str, str]:
    """The query for what belongs to a Rollout."""
    return {"labelSelector": f"{names.ROLLOUT_LABEL}={name}"}


@contextmanager
def reached(kubeconfig: Path | None, context: str, namespace: str) -> Iterator[Place]:
    """The cluster of the options. Raises UserError for a kubeconfig that cannot be used."""
    from fleet.cli import access  # noqa: PLC0415 - see the module

    with access.connect(kubeconfig, context or None, role="cluster") as found:
        yield Place(access=found, namespace=namespace or found.namespace)


def plain(name: str) -> str:
    """`ro/checkout` or `checkout` as `checkout`. Raises UserError for another kind."""
    kind, slash, rest = name.partition("/")
    if not slash:
        return name
    if kind.lower() not in PREFIXES or not rest:
        raise errors.UserError("Usage", f"{name}: write ro/NAME or NAME")
    return rest


def complete(context: typer.Context, incomplete: str) -> list[str]:
    """Names of Rollouts that begin so, for the shell; none where the cluster does not answer."""
    given = context.params
    prefix = incomplete[: incomplete.find("/") + 1]
    try:
        with reached(
            given.get("kubeconfig"), given.get("context") or "", given.get("namespace") or ""
        ) as place:
            items = place.rollouts(place.namespace)
    except errors.FleetError:
        return []  # a shell that completes has no room for words
    found = (prefix + str(item["metadata"]["name"]) for item in items)
    return [name for name in found if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="ro/NAME or NAME.", autocompletion=complete)
]
