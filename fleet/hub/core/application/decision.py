"""One Application: is it valid, does it need a new run, which old runs can go, how does it stand.

`decide` is called by the runtime for each change of an Application, its fleet, its members or its
runs. It never touches a cluster: it freezes inputs into a run, and `plan` does the rest.
"""

from collections.abc import Mapping
from datetime import datetime

from fleet.api import Application, ClusterRollout, FleetRollout, conditions
from fleet.api.application import ApplicationPhase, ApplicationStatus
from fleet.api.fleetrollout import MEMBERS, ClusterPhase, FleetRolloutSpec, RunPhase, Snapshot
from fleet.api.names import REQUEST_ANNOTATION, ClusterName
from fleet.errors import UserError
from fleet.hub.core import phases, policy
from fleet.hub.core.actions import ApplicationPlan, CreateRun, DeleteRun
from fleet.hub.core.application import aside, leaving, validation
from fleet.hub.core.application import occasion as occasions
from fleet.hub.core.application.leaving import Leaving
from fleet.hub.core.application.occasion import Proposal
from fleet.hub.core.member import selection
from fleet.hub.core.observed import ApplicationObserved
from fleet.hub.core.policy import ResolvedPolicy
from fleet.hub.core.run import requests, waves
from fleet.kit import phrases


def decide(
    application: Application, observed: ApplicationObserved, now: datetime
) -> ApplicationPlan:
    """The next run if one is due, the old runs that can go, and the Application's status."""
    if application.metadata.deletion_timestamp is not None:
        return _deleting(application, observed)
    observed = aside.current(application, observed)
    try:
        proposal = accept(application, observed)
        known = occasions.wished(observed, proposal.revision)
        create = _due(application, observed, proposal, known)
    except UserError as error:
        return refused(application, observed, error, now)
    left = leaving.prune(observed, proposal)
    updated = sum(_stands(known[name], proposal) for name in proposal.chosen if name in known)
    status = _status(application, observed, proposal, create, updated, now)
    begun = ((create,) if create else ()) + _outdated(observed, proposal.policy)
    return ApplicationPlan(
        status=_asking(application, status, left, now),
        actions=(*begun, *leaving.settled(application, observed), *left.actions),
    )


def accept(application: Application, observed: ApplicationObserved) -> Proposal:
    """The Application as it would be delivered now. Raises UserError where it cannot be."""
    observed = aside.current(application, observed)
    wish = aside.stand_in(application, observed)
    application = wish.application
    wanted = application.spec.destination.fleet
    if observed.fleet is None:
        raise UserError(
            "FleetNotFound",
            f"spec.destination.fleet: there is no Fleet {wanted} in namespace "
            f"{application.namespace}: create it or correct the name",
        )
    chosen = selection.select(observed.fleet, observed.members).chosen
    if wish.instead_of:
        resolved = aside.resolve(application, observed)
    else:
        resolved = policy.resolve(application.spec.delivery_policy, observed.fleet)
    subject = validation.Subject(
        application=application, policy=resolved, fleet=observed.fleet, chosen=chosen
    )
    if problems := validation.problems(subject):
        raise UserError("InvalidSpec", "; ".join(problems))
    _check_size(wanted, len(chosen))
    _check_members(application, observed, chosen)
    spec = resolved.frozen(application.spec)
    return Proposal(
        fleet=observed.fleet,
        policy=resolved,
        spec=spec,
        chosen=chosen,
        templates=wish.templates,
        revision=occasions.standing_revision(observed, spec, wish.templates),
        instead_of=wish.instead_of,
    )


def _check_size(fleet: str, members: int) -> None:
    if not members:
        raise UserError(
            "EmptyFleet",
            f"fleet {fleet} has no member: name MemberClusters in its members.names, or give "
            "them the labels of its clusterSelector; nothing is deleted meanwhile",
        )
    if members > MEMBERS:
        raise UserError(
            "FleetTooLarge",
            f"fleet {fleet} has {members} members, a run has at most {MEMBERS}: divide the fleet "
            "in two, with an Application for each",
        )


def _check_members(
    application: Application, observed: ApplicationObserved, chosen: tuple[ClusterName, ...]
) -> None:
    namespace = application.spec.destination.namespace or application.namespace
    closed = [
        name
        for name in chosen
        if namespace not in observed.members[name].cluster.spec.allowed_namespaces
    ]
    if closed:
        raise UserError(
            "NamespaceNotAllowed",
            f"spec.destination.namespace: {namespace} is not allowed in {phrases.listed(closed)}: "
            "an administrator adds it with "
            f"`fleet cluster add {closed[0]} --namespaces {namespace}`",
        )
    wrong = [observed.render_errors[name] for name in chosen if name in observed.render_errors]
    if wrong:
        more = f" (and {len(wrong) - 1} more clusters)" if len(wrong) > 1 else ""
        raise UserError("TemplateError", wrong[0] + more)


def _due(
    application: Application,
    observed: ApplicationObserved,
    proposal: Proposal,
    known: Mapping[ClusterName, ClusterRollout],
) -> CreateRun | None:
    """The run to make now, and why; None while the newest one serves."""
    occasion = occasions.find(observed, proposal, known)
    if occasion is None or _queued(observed, proposal):
        return None
    newest = observed.newest
    plan = waves.plan(proposal.policy, occasion.clusters, observed.members, proposal.chosen)
    plan = plan if occasion.soak else waves.without_trial(plan)
    number = 1 + observed.counted(application)
    spec = FleetRolloutSpec(
        application=Snapshot(
            name=application.name,
            uid=application.metadata.uid,
            generation=application.metadata.generation,
            spec=proposal.spec,
            templates=dict(proposal.templates),
        ),
        number=number,
        revision=occasion.revision,
        previous_revision=newest.spec.revision if newest else "",
        trigger=occasion.trigger,
        plan=plan,
        instead_of=proposal.instead_of,
        request_seen=requests.identity(
            application.metadata.annotations.get(REQUEST_ANNOTATION, "")
        ),
    )
    return CreateRun(name=f"{application.name}-{number}", spec=spec)


def _queued(observed: ApplicationObserved, proposal: Proposal) -> str:
    """Why a new revision waits, where it does: for the end of a run."""
    newest = observed.newest
    if newest is None or proposal.policy.on_new_revision != "Queue":
        return ""
    if newest.status.phase in phases.ENDS or newest.spec.revision == proposal.revision:
        return ""
    if newest.status.undo_to:
        return ""
    return (
        f"revision {proposal.revision} waits for the end of run {newest.name} "
        f"({newest.status.message or 'begins'}): deliveryPolicy.onNewRevision is Queue"
    )


def _outdated(observed: ApplicationObserved, resolved: ResolvedPolicy) -> tuple[DeleteRun, ...]:
    """Finished runs beyond the limit, oldest first; never one that a cluster stands on."""
    done = [run for run in observed.runs[:-1] if run.status.phase in phases.ENDS]
    limit = resolved.revision_history_limit - 1
    surplus = done[: max(len(done) - limit, 0)]
    if not surplus:
        return ()
    needed = {item.status.last_good.run for item in observed.clusters}
    needed |= {item.status.previous_good.run for item in observed.clusters}
    needed |= {item.spec.want.run for item in observed.clusters if item.spec.want}
    needed |= {run.status.undo_to for run in observed.runs[-1:]}
    return tuple(DeleteRun(name=run.name) for run in surplus if run.name not in needed)


def _status(
    application: Application,
    observed: ApplicationObserved,
    proposal: Proposal,
    create: CreateRun | None,
    updated: int,
    now: datetime,
) -> ApplicationStatus:
    newest = observed.newest
    phase, message = _phase(newest, create)
    queued = _queued(observed, proposal)
    if proposal.instead_of and not queued:
        message = f"{message}; an undo has put aside what is asked for here, until it is changed"
    message = queued or message
    accepted = conditions.condition("Accepted", True, "Accepted", "")
    good = phase is ApplicationPhase.READY
    reason = (newest.status.reason if newest and not create else "") or "Progressing"
    reason = "Queued" if queued else reason
    ready = conditions.condition("Ready", good, reason, message)
    return ApplicationStatus(
        phase=phase,
        observed_generation=application.metadata.generation,
        revision=create.spec.revision if create else proposal.revision,
        run=create.name if create else newest.name if newest else "",
        runs=create.spec.number if create else observed.counted(application),
        clusters=f"{updated}/{len(proposal.chosen)}",
        message=message,
        conditions=conditions.updated(
            application.status.conditions,
            (accepted, ready),
            now,
            application.metadata.generation,
        ),
    )


def _stands(item: ClusterRollout, proposal: Proposal) -> bool:
    """Whether what was wished for it has come to a good end."""
    status = item.status
    return status.phase is ClusterPhase.SUCCEEDED and status.last_good.revision == proposal.revision


def _phase(newest: FleetRollout | None, create: CreateRun | None) -> tuple[ApplicationPhase, str]:
    """One word and one sentence for the whole Application."""
    if create is not None or newest is None:
        return ApplicationPhase.PROGRESSING, f"run {create.name} begins" if create else ""
    told = f"run {newest.name}: {newest.status.message or 'begins'}"
    if newest.status.phase is RunPhase.SUCCEEDED:
        return ApplicationPhase.READY, told
    if newest.status.phase is RunPhase.AWAITING_APPROVAL:
        return ApplicationPhase.WAITING_APPROVAL, told
    bad = (
        RunPhase.HALTED,
        RunPhase.ABORTED,
        RunPhase.ROLLED_BACK,
        RunPhase.SUCCEEDED_WITH_FAILURES,
    )
    if newest.status.phase in bad:
        return ApplicationPhase.DEGRADED, told
    return ApplicationPhase.PROGRESSING, told


def refused(
    application: Application, observed: ApplicationObserved, error: UserError, now: datetime
) -> ApplicationPlan:
    """What is wrong goes to the conditions; the last accepted run goes on undisturbed.

    Also for the runtime, when the API server does not take the run that was decided.
    """
    message = str(error)
    refused = (
        conditions.condition("Accepted", False, error.reason, message),
        conditions.condition("Ready", False, error.reason, message),
    )
    status = application.status.model_copy(
        update={
            "phase": ApplicationPhase.DEGRADED,
            "observed_generation": application.metadata.generation,
            "runs": observed.counted(application),
            "message": message[: conditions.MESSAGE_LIMIT],
            "conditions": conditions.updated(
                application.status.conditions, refused, now, application.metadata.generation
            ),
        }
    )
    return ApplicationPlan(status=status, actions=leaving.settled(application, observed))


def _asking(
    application: Application, status: ApplicationStatus, left: Leaving, now: datetime
) -> ApplicationStatus:
    """With the question for a person, where many clusters have left."""
    others = tuple(item for item in status.conditions if item.type != leaving.PRUNED)
    if not left.waits:
        return status.model_copy(update={"conditions": others})
    asked = conditions.condition(leaving.PRUNED, False, "PruneNeedsConfirmation", left.waits)
    told = conditions.updated(status.conditions, (asked,), now, application.metadata.generation)
    return status.model_copy(update={"conditions": told})


def _deleting(application: Application, observed: ApplicationObserved) -> ApplicationPlan:
    status = application.status.model_copy(
        update={
            "phase": ApplicationPhase.DELETING,
            "observed_generation": application.metadata.generation,
            "message": "its objects in the members are being taken away",
        }
    )
    return ApplicationPlan(status=status, actions=leaving.settled(application, observed))
