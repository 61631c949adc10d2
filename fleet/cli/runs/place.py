"""How a command of the hub gets at its run: connection, namespace, APP or RUN, completion of names.

Used by every command of this folder that talks to a hub. The Kubernetes client is imported here and
late, so that the list of commands does not pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fleet import errors
from fleet.api import names
from fleet.api.application import Application
from fleet.api.clusterrollout import ClusterRollout
from fleet.api.fleetrollout import FleetRollout
from fleet.cli import tables

if TYPE_CHECKING:
    from fleet.cli.access import Access

KINDS: Mapping[str, names.Resource] = {
    word: resource
    for resource, words in (
        (names.APPLICATIONS, ("fapp", "application", "applications")),
        (names.FLEETROLLOUTS, ("fr", "fleetrollout", "fleetrollouts")),
    )
    for word in (*words, f"{words[1]}.{resource.group}", f"{words[2]}.{resource.group}")
}
"""What may stand before a name and a slash."""
KIND_OF_RUN = re.compile(r".+-[1-9][0-9]*")
"""How the hub names runs."""
HELP = "an Application (its newest run) or a run"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What APP or RUN means: an Application with its newest run, or one run."""

    application: Application | None
    """None where a run was named."""
    run: FleetRollout | None
    """None where the Application has none yet."""

    @cached_property
    def name(self) -> str:
        """As a person would say it."""
        if self.application is not None:
            return self.application.name
        assert self.run is not None
        return self.run.name

    @property
    def message(self) -> str:
        """What the hub says of it."""
        if self.run is not None and self.run.status.message:
            return self.run.status.message
        said = self.application.status.message if self.application is not None else ""
        return said or "the hub has not looked at it"

    @property
    def is_unseen(self) -> bool:
        """Whether the hub has not looked at the Application's present spec."""
        found = self.application
        return found is not None and found.status.observed_generation != found.metadata.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A namespace of a hub."""

    access: Access
    namespace: str

    def target(self, word: str) -> Target:
        """What `word` means. Raises UserError where it means nothing, or two things."""
        kind, name = plain(word)
        run = None if kind == names.APPLICATIONS else self._find(names.FLEETROLLOUTS, name)
        found = None if kind == names.FLEETROLLOUTS else self._find(names.APPLICATIONS, name)
        if run is not None and found is not None:
            text = f"{name} is an Application and a run: write fapp/{name} or fr/{name}"
            raise errors.UserError("Usage", text)
        if found is not None:
            runs = self.runs(name)
            return Target(application=Application.parse(found), run=runs[-1] if runs else None)
        if run is not None:
            return Target(application=None, run=FleetRollout.parse(run))
        what = {names.APPLICATIONS: "Application", names.FLEETROLLOUTS: "run"}
        raise errors.UserError(
            "NotFound",
            f"no {what[kind] if kind else 'Application or run'} {name} in "
            f"namespace {self.namespace} of {self.access.server}: -n names another one, "
            "`fleet get` lists them",
        )

    def applications(self, namespace: str | None = "") -> list[dict[str, Any]]:
        """The Applications of this namespace, of another, or of all where it is None."""
        where = self.namespace if namespace == "" else namespace
        return self._list(names.APPLICATIONS, where, {})

    def runs(self, application: str) -> list[FleetRollout]:
        """The runs of an Application that are kept, oldest first."""
        found = self._list(names.FLEETROLLOUTS, self.namespace, labelled(application))
        runs = [FleetRollout.parse(item) for item in found]
        return sorted(runs, key=lambda run: run.spec.number)

    def owner(self, run: FleetRollout) -> Application:
        """The Application of a run. Raises UserError where it is gone."""
        name = run.spec.application.name
        found = self._find(names.APPLICATIONS, name)
        if found is None:
            raise errors.UserError("NotFound", f"Application {name} was deleted meanwhile")
        return Application.parse(found)

    def newest(self, run: FleetRollout) -> int:
        """The number of the newest run of its Application. Raises UserError where none is left."""
        found = self.runs(run.spec.application.name)
        if not found:
            raise errors.UserError("NotFound", f"{run.name} was deleted meanwhile")
        return found[-1].spec.number

    def stored_runs(self, application: str) -> list[dict[str, Any]]:
        """The same as they are stored, for programs."""
        found = self._list(names.FLEETROLLOUTS, self.namespace, labelled(application))
        return sorted(map(tables.bare, found), key=lambda item: int(item["spec"]["number"]))

    def stored(self, target: Target) -> dict[str, Any]:
        """The object that was named, as it is stored: the run where a run was, else the
        Application."""
        is_run = target.application is None
        resource = names.FLEETROLLOUTS if is_run else names.APPLICATIONS
        found = self._find(resource, target.name)
        if found is None:
            raise errors.UserError("NotFound", f"{target.name} was deleted meanwhile")
        return tables.bare(resource.head | found)

    def all_runs(self, namespace: str | None) -> list[FleetRollout]:
        """The runs of all Applications of a namespace, or of all namespaces."""
        found = self._list(names.FLEETROLLOUTS, namespace, {})
        return [FleetRollout.parse(item) for item in found]

    def clusters(self, application: str) -> list[ClusterRollout]:
        """The Application's ClusterRollouts."""
        found = self._list(names.CLUSTERROLLOUTS, self.namespace, labelled(application))
        return [ClusterRollout.parse(item) for item in found]

    def may_see_clusters(self, application: str) -> bool:
        """Whether the ClusterRollouts may be looked at: not everybody who may ask may do that."""
        try:
            self._list(names.CLUSTERROLLOUTS, self.namespace, labelled(application))
        except errors.Forbidden:
            return False
        return True

    def _find(self, resource: names.Resource, name: str) -> dict[str, Any] | None:
        return self.access.find(resource, name, self.namespace)

    def _list(
        self, resource: names.Resource, namespace: str | None, query: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        answer = self.access.request("GET", resource.path(namespace), query=query)
        return [resource.head | item for item in answer["items"]]


def labelled(application: str) -> dict[str, str]:
    """The query for what belongs to an Application."""
    return {"labelSelector": f"{names.APPLICATION_LABEL}={application}"}


@contextmanager
def reached(kubeconfig: Path | None, context: str, namespace: str) -> Iterator[Place]:
    """The hub of the options. Raises UserError for a kubeconfig that cannot be used."""
    from fleet.cli import access  # noqa: PLC0415 - see the module

    with access.connect(kubeconfig, context or None, role="hub") as found:
        yield Place(access=found, namespace=namespace or found.namespace)


def plain(word: str) -> tuple[names.Resource | None, str]:
    """`fr/checkout-4` as kind and name; without a kind, None. Raises UserError for another one."""
    kind, slash, rest = word.partition("/")
    if not slash:
        return None, word
    if kind.lower() not in KINDS or not rest:
        raise errors.UserError("Usage", f"{word}: write fapp/NAME, fr/NAME or NAME")
    return KINDS[kind.lower()], rest


def complete(context: typer.Context, incomplete: str) -> list[str]:
    """Names of Applications and runs that begin so; none where the hub does not answer."""
    given, (kind, slash, _) = context.params, incomplete.partition("/")
    prefix = kind + slash if slash else ""
    wanted = KINDS.get(kind.lower()) if slash else None
    if slash and wanted is None:
        return []
    try:
        with reached(
            given.get("kubeconfig"), given.get("context") or "", given.get("namespace") or ""
        ) as place:
            items = place.applications() if wanted != names.FLEETROLLOUTS else []
            runs = place.all_runs(place.namespace) if wanted != names.APPLICATIONS else []
    except errors.FleetError:
        return []  # a shell that completes has no room for words
    found = sorted(prefix + str(item["metadata"]["name"]) for item in items)
    found += sorted(prefix + run.name for run in runs)
    return [name for name in found if name.startswith(incomplete)]


def complete_wave(context: typer.Context, incomplete: str) -> list[str]:
    """Waves of the run that the line names."""
    run = _named(context)
    waves = run.spec.plan.waves if run is not None else ()
    return [wave.name for wave in waves if wave.name.startswith(incomplete)]


def complete_cluster(context: typer.Context, incomplete: str) -> list[str]:
    """Clusters of the run that the line names."""
    run = _named(context)
    known = clusters_of(run) if run is not None else []
    return [name for name in known if name.startswith(incomplete)]


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Runs of the namespace."""
    return [name for name in complete(context, incomplete) if KIND_OF_RUN.fullmatch(name)]


def _named(context: typer.Context) -> FleetRollout | None:
    """The run that the line names; None where there is none or the hub does not answer."""
    given = context.params
    try:
        with reached(
            given.get("kubeconfig"), given.get("context") or "", given.get("namespace") or ""
        ) as place:
            # A line that ends with an option without its value is parsed no further: the rest of it
            # stands in `args`.
            word = given.get("name") or next(iter(context.args), "")
            return place.target(str(word)).run
    except errors.FleetError:
        return None


def clusters_of(run: FleetRollout) -> list[str]:
    """The members of a run, in the order in which they go; who joined comes last."""
    joined = [item.name for item in run.status.appended]
    return [name for wave in run.spec.plan.waves for name in wave.clusters] + joined


Name = Annotated[
    str, typer.Argument(metavar="APP|RUN", help=f"Name of {HELP}.", autocompletion=complete)
]
OptionalName = Annotated[
    str,
    typer.Argument(
        metavar="APP|RUN",
        help=f"Name of {HELP}; all where it is left out.",
        autocompletion=complete,
    ),
]
