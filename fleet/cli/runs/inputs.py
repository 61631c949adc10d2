"""What a run would be made of: an Application with its fleet and members, from files or a hub.

Used by `plan`, `simulate` and `diff`. Files with a Fleet and its MemberClusters need no hub; what
they lack is read from one.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from fleet import settings
from fleet.api import conditions, names
from fleet.api.application import Application
from fleet.api.fleet import Fleet
from fleet.api.fleetrollout import Plan, Snapshot
from fleet.api.membercluster import EngineMode, MemberCluster
from fleet.api.names import ClusterName
from fleet.cli import files, render
from fleet.cli.runs import place
from fleet.cli.runs.place import Place
from fleet.errors import UserError
from fleet.hub.core.application import decision, occasion, validation
from fleet.hub.core.application.occasion import Occasion, Proposal
from fleet.hub.core.member import freshness
from fleet.hub.core.observed import ApplicationObserved, Member
from fleet.hub.core.run import waves
from fleet.rendering import environment, tenant
from fleet.rendering.delivery import Delivery
from fleet.rendering.tenant import Own
from fleet.wiring import proofs


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything that is known beforehand."""

    application: Application
    observed: ApplicationObserved
    is_alone: bool = False
    """No hub was asked: nothing is known of what ran before."""
    stored: Application | None = None
    """What the hub has of it, beside its own Fleet."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """The run that is due, or that would be if anything were."""

    proposal: Proposal
    occasion: Occasion | None
    """None: the newest run delivers this already."""
    plan: Plan
    number: int


def due(inputs: Inputs) -> Due:
    """What the hub would make of it now. Raises UserError where it would accept nothing."""
    proposal = decision.accept(inputs.application, inputs.observed)
    known = occasion.wished(inputs.observed, proposal.revision)
    found = occasion.find(inputs.observed, proposal, known)
    clusters = found.clusters if found else proposal.chosen
    plan = waves.plan(proposal.policy, clusters, inputs.observed.members, proposal.chosen)
    if found is not None and not found.soak:
        plan = waves.without_trial(plan)
    number = 1 + inputs.observed.counted(inputs.application)
    return Due(proposal=proposal, occasion=found, plan=plan, number=number)


def prove(inputs: Inputs, found: Due) -> None:
    """Raises UserError where nothing can be rendered for one of the members: no hub would accept
    that, whoever it is."""
    proposal, observed = found.proposal, inputs.observed
    snapshot = Snapshot(
        name=inputs.application.name, spec=proposal.spec, templates=dict(proposal.templates)
    )
    with proofs.opened(environment.read(settings.files("templates"))) as drawing:
        for name in proposal.chosen:
            cluster = observed.members[name].cluster
            drawing.render(
                Delivery(
                    application=snapshot,
                    namespace=inputs.application.namespace,
                    cluster=cluster,
                    fleet=proposal.fleet,
                    revision=proposal.revision,
                )
            )
            if wrong := validation.overridden(proposal.spec, cluster.metadata.labels):
                raise UserError("InvalidSpec", f"cluster {name}: {wrong}")


def foreign(inputs: Inputs) -> str:
    """Why what is said here may not be what the hub does: it makes another revision of the same
    Application. Empty where it makes the same, or that is not known."""
    stored = inputs.stored
    if stored is None or stored.status.observed_generation != stored.metadata.generation:
        return ""
    try:
        ours = decision.accept(stored, inputs.observed).revision
    except UserError:
        return ""
    theirs = stored.status.revision
    if theirs in ("", ours) or not conditions.is_true(stored.status.conditions, "Accepted"):
        return ""
    return (
        f"the hub makes revision {theirs} of what {stored.name} asks for now, this command {ours}: "
        "their versions or templates differ, and so may what is said of changes"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options of a command name."""

    name: str
    files: Sequence[Path]
    kubeconfig: Path | None
    context: str
    namespace: str


def read(asked: Asked) -> Inputs:
    """From the files, from the hub, or from both; says so where the hub sees them otherwise.

    Raises UserError that says what is missing.
    """
    found = _read(asked)
    if words := foreign(found):
        typer.echo(f"note: {words}", err=True)
    return found


def _read(asked: Asked) -> Inputs:
    if not asked.files:
        if not asked.name:
            raise UserError("Usage", "which Application? write APP, or -f FILE")
        with place.reached(asked.kubeconfig, asked.context, asked.namespace) as hub:
            return _with_hub(hub, _stored(hub, asked.name), None, [])
    documents = files.read(asked.files)
    objects = list(render.read(documents))
    application = _chosen([x for x in objects if isinstance(x, Application)], asked.name)
    fleets = [x for x in objects if isinstance(x, Fleet)]
    wanted = application.spec.destination.fleet
    fleet = next((one for one in fleets if one.name == wanted), None)
    own = render.named(render.own(documents), application)
    members = [x for x in objects if isinstance(x, MemberCluster)]
    if fleet is not None and members:
        return _alone(application, fleet, members, own)
    lacking = f"Fleet {wanted}" if fleet is None else "its MemberClusters"
    with _completing(asked, asked.namespace or application.namespace, lacking) as hub:
        return _with_hub(hub, _merged(hub, application), fleet, members, own)


@contextmanager
def _completing(asked: Asked, namespace: str, lacking: str) -> Iterator[Place]:
    """The hub, for what the files lack. Raises UserError that says how to do without one."""
    with ExitStack() as stack:
        try:
            hub = stack.enter_context(place.reached(asked.kubeconfig, asked.context, namespace))
        except UserError as error:
            hint = f"with {lacking} among the files (-f) no hub is asked"
            raise UserError(error.reason, f"{error}; {hint}") from error
        yield hub


def _chosen(found: Sequence[Application], name: str) -> Application:
    known = [item for item in found if name in ("", item.name)]
    if len(known) == 1:
        return known[0]
    if not known:
        what = f"no Application {name}" if name else "no Application"
        raise UserError("Usage", f"{what} in the files: add one with -f")
    names_ = ", ".join(item.name for item in known)
    raise UserError("Usage", f"the files hold {names_}: write which one")


def _alone(
    application: Application, fleet: Fleet, members: Sequence[MemberCluster], own: Own | None
) -> Inputs:
    """From files alone: every member is taken to answer."""
    found = {
        ClusterName(one.name): Member(cluster=one, reachable=True, fresh=True) for one in members
    }
    observed = ApplicationObserved(fleet=fleet, members=found, templates=_templates(), own=own)
    if not application.namespace:
        meta = application.metadata.model_copy(update={"namespace": "default"})
        application = application.model_copy(update={"metadata": meta})
    return Inputs(application=application, observed=observed, is_alone=True)


def _stored(hub: Place, word: str) -> Application:
    """The Application of that name, or of the run of that name."""
    target = hub.target(word)
    if target.application is not None:
        return target.application
    assert target.run is not None
    found = hub.target(f"fapp/{target.run.spec.application.name}").application
    assert found is not None
    return found


def _merged(hub: Place, application: Application) -> Application:
    """The file's spec as the next generation of what the hub has, if it has it."""
    stored = hub.access.find(names.APPLICATIONS, application.name, hub.namespace)
    if stored is None:
        meta = application.metadata.model_copy(update={"namespace": hub.namespace})
        return application.model_copy(update={"metadata": meta})
    return Application.parse(stored).model_copy(update={"spec": application.spec})


def _with_hub(
    hub: Place,
    application: Application,
    fleet: Fleet | None,
    members: Sequence[MemberCluster],
    own: Own | None = None,
) -> Inputs:
    """What the files do not say is as the hub sees it."""
    found = hub.access.find(names.APPLICATIONS, application.name, hub.namespace)
    known = Application.parse(found) if found is not None and fleet is None else None
    if fleet is None:
        wanted = application.spec.destination.fleet
        stored = hub.access.find(names.FLEETS, wanted, hub.namespace)
        fleet = Fleet.parse(stored) if stored is not None else None
    if not members:
        listed = hub.access.list(names.MEMBERCLUSTERS, hub.namespace)
        members = [MemberCluster.parse(item) for item in listed]
    observed = ApplicationObserved(
        fleet=fleet,
        members={ClusterName(one.name): member(one) for one in members},
        runs=tuple(hub.runs(application.name)),
        clusters=tuple(hub.clusters(application.name)),
        templates=_templates(),
        own=own or _own(hub, application),
    )
    return Inputs(application=application, observed=observed, stored=known)


def _own(hub: Place, application: Application) -> Own | None:
    """The templates of the ConfigMap that the Application names, as the hub has it."""
    wanted = application.spec.templates
    if wanted is None:
        return None
    found = hub.access.find(names.CONFIGMAPS, wanted.config_map, hub.namespace)
    return tenant.read(found) if found is not None and tenant.is_meant(found) else None


def member(cluster: MemberCluster) -> Member:
    """A member as far as its status believes it; who has none yet is taken to answer."""
    status = cluster.status
    seen = conditions.find(cluster.status.conditions, freshness.FRESH)
    reachable = status.reachable is not False
    fresh = reachable and (seen is None or seen.status == "True")
    is_unknown = seen is not None and seen.reason == freshness.UNKNOWN and not status.engine.version
    return Member(
        cluster=cluster,
        reachable=reachable,
        fresh=fresh,
        has_unknown_engine=is_unknown and cluster.spec.engine.mode is EngineMode.EXTERNAL,
        message="" if fresh else status.message or status.engine.message,
    )


def _templates() -> str:
    """Digest of the templates of this installation, which are taken to be the hub's."""
    return environment.read(settings.files("templates")).digest
