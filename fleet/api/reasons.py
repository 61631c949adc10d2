"""Every reason that a condition, an Event or a run can carry, with a sentence each.

The README's table of reasons is generated from here. Reasons are constants for machines; the
message beside them says what is wrong in this case, where, and what to do.
"""

from typing import Final

SENTENCES: Final[dict[str, str]] = {
    # specs
    "InvalidSpec": "The spec breaks a rule; the message names field, value and correction.",
    "Accepted": "The spec is valid and in force.",
    "TemplateError": "A template could not be rendered; the message names cluster, template, line.",
    "FleetNotFound": "The Application names a Fleet that does not exist in its namespace.",
    "MemberNotFound": "A Fleet names a MemberCluster that does not exist in its namespace.",
    "EmptyFleet": "The Fleet has no member; nothing can be delivered and nothing is deleted.",
    "UnmatchedClusters": "A member belongs to no wave.",
    "NamespaceNotAllowed": "The member does not allow Applications in that namespace.",
    # members
    "Reachable": "The member's API server answers and its Rollouts are watched.",
    "Unreachable": "The member's API server does not answer.",
    "SecretNotFound": "The Secret with the kubeconfig, or its key, does not exist.",
    "KubeconfigRefused": "The kubeconfig uses something that the hub does not accept.",
    "Unauthorized": "The member refuses the credentials: wrong or expired.",
    "Forbidden": "The credentials lack a right in the member.",
    "CertificateInvalid": "The member's certificate does not verify.",
    "DuplicateCluster": "Two MemberClusters of this namespace name one API server.",
    "CredentialsExpire": "The token ends soon and could not be renewed.",
    "CrdsMissing": "The member lacks the Rollout CRD.",
    "EngineHealthy": "The engine renews its Lease.",
    "EngineUnhealthy": "The engine is not running or has stopped renewing its Lease.",
    "EngineUnknown": "Nothing is known of the engine yet.",
    "EngineTooOld": "The member's Rollout CRD lacks a field that this policy needs.",
    "Stale": "The last report is too old to count as healthy.",
    # runs
    "Planned": "The run is made and has not begun.",
    "Progressing": "Clusters are being updated.",
    "Soaking": "A wave is done and must run well for a while.",
    "Paused": "Paused by a person or by the policy.",
    "AnalysisFailed": "The new revision failed its analysis and was taken back.",
    "BudgetExceeded": "More clusters failed than the wave's failure budget allows.",
    "Deferred": "Clusters cannot be reached and are put off to the end.",
    "WaitingForClusters": "Clusters are in flight; the next may start when one is done.",
    "GivingWay": "An older run of the Application sends its clusters back first.",
    "HubIsolated": "Many members went silent at once: the hub suspects its own network.",
    "WaveStarted": "A wave began.",
    "WaveDone": "Every cluster of a wave is updated, counted as failed, or put off.",
    "EmptyWave": "A wave has no cluster; it is passed at once.",
    "Resumed": "A person lets the run go on.",
    "Retried": "A person gave the failed clusters another chance.",
    "RequestRefused": "A request cannot be done; the message says why.",
    "Halted": "Something failed; a person decides how it goes on.",
    "SpecChanged": "The Application's spec or its templates changed.",
    "ReplicasChanged": "Only replicas changed: waves without soak.",
    "ClusterInputsChanged": "A cluster's labels, vars or defaults changed its manifests.",
    "MembersJoined": "Members joined after the end of the last run.",
    "Superseded": "A newer revision took over.",
    "Succeeded": "Every cluster runs the revision.",
    "SucceededWithFailures": "The run is over; some clusters failed or could not be reached.",
    "Aborted": "The run was given up.",
    # clusters
    "Pending": "It is not this cluster's turn yet.",
    "Applying": "Objects are being written into the member.",
    "Analyzing": "The step is held until the metrics say enough.",
    "Held": "The hub holds this cluster at its step.",
    "TimedOut": "No end within the wave's progress deadline.",
    "Conflict": "Somebody else owns a field or an object that we need.",
    "ForeignObject": "An object of that name exists and is not ours.",
    "Fenced": "A newer hub leader has written already.",
    "OtherHub": "Another hub manages this Rollout.",
    "Released": "The member or its access is gone; what is there stays and is managed no more.",
    "Deleting": "What was made in the member is being taken away.",
    # engine
    "Available": "Enough ready pods serve the stable revision.",
    "Unavailable": "Fewer ready pods than wanted serve the stable revision.",
    "NewRevision": "A new revision is on its way.",
    "Completed": "The revision is stable.",
    "RolledBack": "The revision was taken back.",
    "Timeout": "No progress within progressDeadlineSeconds.",
    "StepPaused": "The step's pause is not over.",
    "UserPaused": "`spec.paused` is set.",
    "PauseRequested": "A request pauses the rollout until another resumes it.",
    "NothingToDo": "A request came when there was nothing to do for it; it is taken away.",
    "NotPaused": "Nothing pauses the rollout.",
    "TrafficReady": "Services and routes carry the wanted weights.",
    "ServiceNotFound": "A Service that the strategy names does not exist.",
    "RouteNotFound": "The HTTPRoute that the strategy names does not exist.",
    "RouteWithoutServices": "No rule of the HTTPRoute holds both Services.",
    "RouteNotAccepted": "The gateway has not accepted the HTTPRoute at its generation.",
    "RoutePending": "The weights are written and not yet accepted by the gateway.",
    "EndpointsPending": "The stable Service does not yet point at the new pods.",
    "PodsPending": "Pods of the new revision are not ready.",
    "SelectorContested": "Somebody keeps undoing the Service's selector.",
    "MetricsAvailable": "The last check got an answer for every metric.",
    "MetricsUnavailable": "The metrics source does not answer, or answers nonsense.",
    "NoAnalysis": "The strategy has no analysis.",
    "SamplesInsufficient": "Too few requests to judge; the step is held.",
    "WarmingUp": "The warm-up of the step is not over.",
}


def sentence(reason: str) -> str:
    """What `reason` means. Raises KeyError for a reason that is not listed here."""
    return SENTENCES[reason]
