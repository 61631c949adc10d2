"""`fleet render`: what each member would get, from files alone.

Uses the same renderer and the same rules as the hub and never talks to a cluster. A member or a
fleet that no file describes is made up from the options, so that an Application alone is enough;
where that leaves out the defaults of its Fleet, that is said.
"""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet import settings
from fleet.api import Application, Fleet, MemberCluster, schema, structure
from fleet.api.fleetrollout import Snapshot
from fleet.api.meta import Object
from fleet.api.names import APPLICATIONS, FLEET_GROUP, ClusterName
from fleet.cli import files, options
from fleet.errors import UserError
from fleet.hub.core import policy
from fleet.hub.core.application import occasion, validation
from fleet.hub.core.member import selection
from fleet.hub.core.observed import Member
from fleet.kit import documents
from fleet.rendering import environment, tenant
from fleet.rendering.delivery import Delivery
from fleet.rendering.render import Rendered
from fleet.rendering.tenant import Own
from fleet.wiring import proofs

KINDS: dict[str, type[Object[Any, Any]]] = {
    "Application": Application,
    "Fleet": Fleet,
    "MemberCluster": MemberCluster,
}

app = typer.Typer(add_completion=False)


@app.command()
def command(
    given: Annotated[
        list[Path],
        typer.Option(
            "--file",
            "-f",
            help="Applications, and their Fleet, MemberClusters and ConfigMap of templates: files, "
            "folders, or -.",
        ),
    ],
    cluster: Annotated[
        list[str] | None, typer.Option(help="Only for this member; may be given again.")
    ] = None,
    labels: Annotated[str, typer.Option(help="Labels of a member that no file describes.")] = "",
    variables: Annotated[
        str, typer.Option("--vars", help="Values of a member that no file describes.")
    ] = "",
    templates: Annotated[
        Path | None, typer.Option(help="Folder of templates; default: those of the hub.")
    ] = None,
    output: Annotated[str, options.forms("yaml", "json", "name")] = "yaml",
) -> None:
    """Print the objects that each member would get; needs no cluster."""
    if output not in ("yaml", "json", "name"):
        raise UserError("Usage", f"--output {output}: write yaml, json or name")
    documents = files.read(given)
    objects = list(read(documents))
    applications_ = [item for item in objects if isinstance(item, Application)]
    if not applications_:
        raise UserError("Usage", "no Application in the files: add one with -f")
    members = _members(objects, cluster or [], labels, variables)
    used = environment.read(templates or settings.files("templates"))
    configmaps = own(documents)
    fleets = {item.name: item for item in objects if isinstance(item, Fleet)}
    for application in applications_:
        fleet = fleets.get(application.spec.destination.fleet) or _fleet(application, members)
        _check(application, fleet, members)
        spec = application.spec
        resolved = policy.resolve(spec.delivery_policy, fleet).frozen(spec)
        texts = tenant.given(application, named(configmaps, application))
        revision = occasion.revision(resolved, used.digest, texts)
        snapshot = Snapshot(name=application.name, spec=resolved, templates=dict(texts))
        with proofs.opened(used) as drawing:
            for member in members:
                delivery = Delivery(
                    application=snapshot,
                    namespace=application.namespace or "default",
                    cluster=member,
                    fleet=fleet,
                    revision=revision,
                )
                found = drawing.render(delivery)
                if wrong := validation.overridden(resolved, member.metadata.labels):
                    raise UserError("InvalidSpec", f"cluster {member.name}: {wrong}")
                typer.echo(_text(member.name, found, output), nl=False)
    for text in _notes({item.spec.destination.fleet for item in applications_}, fleets, members):
        typer.echo(text, err=True)


def _notes(
    wanted: Set[str], known: Mapping[str, Fleet], members: Sequence[MemberCluster]
) -> Iterator[str]:
    """What may be otherwise in the hub: fleets without their defaults, members that have none."""
    found = {
        ClusterName(item.name): Member(cluster=item, reachable=True, fresh=True) for item in members
    }
    for name in sorted(wanted):
        if name not in known:
            yield f"Fleet {name} is in none of the files: add it with -f, if it has defaults"
            continue
        left_out = selection.select(known[name], found).left_out
        yield from (left_out[key] for key in found if key in left_out)


def read(documents: Sequence[tuple[str, Any]]) -> Iterator[Object[Any, Any]]:
    """Our objects among what stands in files. Raises UserError naming file, object and field."""
    for name, document in documents:
        yield from _object(name, document)


def own(documents: Sequence[tuple[str, Any]]) -> dict[str, Own]:
    """The ConfigMaps of templates among them, by name. Raises UserError as `read` does."""
    found: dict[str, Own] = {}
    for file, document in documents:
        if isinstance(document, dict) and tenant.is_meant(document):
            if not (name := document["metadata"].get("name")):
                raise UserError("InvalidSpec", f"{file}: ConfigMap: metadata.name is required")
            _check_keys(f"{file}: ConfigMap {name}", document)
            found[str(name)] = tenant.read(document)
    return found


def named(found: Mapping[str, Own], application: Application) -> Own | None:
    """The one that the Application names."""
    wanted = application.spec.templates
    return found.get(wanted.config_map) if wanted is not None else None


def _object(file: str, document: Any) -> Iterator[Object[Any, Any]]:
    """It as the hub would read it, with the defaults that an API server fills in."""
    if (kind := _kind(file, document)) is None:
        return  # Secrets and the like may stand in the same file
    about = document.get("metadata") or {}
    if not isinstance(about, dict):
        raise UserError("InvalidSpec", f"{file}: {kind}: metadata must be an object")
    what = f"{file}: {kind} {about.get('name', '')}"
    _check_keys(what, document)
    spec, given = schema.openapi(KINDS[kind])["properties"]["spec"], document.get("spec")
    wrong = structure.problems(spec, given, "spec") if given is not None else ()
    if words := "; ".join(map(str, wrong)):
        raise UserError("InvalidSpec", f"{what}: {words}")
    body = {**document, "spec": structure.stored(spec, given)} if given is not None else document
    try:
        yield KINDS[kind].parse(body, strict=True)
    except UserError as error:
        raise UserError(error.reason, f"{what}: {error}") from None


def _kind(file: str, document: Any) -> str | None:
    """Which of ours it is; None where it is for others to read. Raises UserError for what is meant
    as one of ours and is none."""
    found = document if isinstance(document, dict) else {}
    version, wanted = str(found.get("apiVersion", "")), APPLICATIONS.api_version
    kind = str(found.get("kind") or "an object without kind")
    if not version and kind in KINDS:
        raise UserError("InvalidSpec", f"{file}: {kind}: apiVersion is required: write {wanted}")
    if version.partition("/")[0] != FLEET_GROUP:
        return None
    if kind not in KINDS:
        raise UserError("InvalidSpec", f"{file}: {kind}: write {', '.join(KINDS)}")
    if version != wanted:
        raise UserError("InvalidSpec", f"{file}: {kind}: apiVersion {version}: write {wanted}")
    return kind


def _check_keys(what: str, document: Mapping[str, Any]) -> None:
    """Only of what is read: others beside it are not ours to judge."""
    if wrong := "; ".join(map(str, structure.unquoted(document, ""))):
        raise UserError("InvalidSpec", f"{what}: {wrong}")


def _members(
    objects: Sequence[Object[Any, Any]], wanted: Sequence[str], labels: str, variables: str
) -> list[MemberCluster]:
    known = {item.name: item for item in objects if isinstance(item, MemberCluster)}
    if not wanted and not known:
        raise UserError(
            "Usage", "which member? write --cluster NAME, or add a MemberCluster with -f"
        )
    marks = options.pairs(labels, "--labels")
    spec = {
        "kubeconfig": {"secretRef": {"name": "none"}},
        "vars": options.pairs(variables, "--vars"),
    }
    return [
        known.get(name)
        or MemberCluster.parse({"metadata": {"name": name, "labels": marks}, "spec": spec})
        for name in wanted or sorted(known)
    ]


def _fleet(application: Application, members: Sequence[MemberCluster]) -> Fleet:
    """One without defaults, for an Application whose Fleet is in no file."""
    spec = {"members": {"names": [member.name for member in members]}}
    return Fleet.parse({"metadata": {"name": application.spec.destination.fleet}, "spec": spec})


def _check(application: Application, fleet: Fleet, members: Sequence[MemberCluster]) -> None:
    subject = validation.Subject(
        application=application,
        policy=policy.resolve(application.spec.delivery_policy, fleet),
        fleet=fleet,
        chosen=[ClusterName(member.name) for member in members],
    )
    if found := validation.problems(subject):
        raise UserError("InvalidSpec", f"Application {application.name}: {'; '.join(found)}")


def _text(member: str, found: Sequence[Rendered], output: str) -> str:
    if output == "name":
        return "".join(f"{member} {item.resource.plural}/{item.name}\n" for item in found)
    manifests = [dict(item.manifest) for item in found]
    if output == "json":
        return json.dumps({"cluster": member, "items": manifests}, indent=2) + "\n"
    head = f"# cluster {member}\n"
    return head + "".join("---\n" + documents.written(item) for item in manifests)
