"""What fields of other tools are called here: for who brings a Rollout from Argo Rollouts, a Canary
from Flagger, a policy from Karmada.

Called where an unknown field is told. Never decides whether a field is known.
"""

from collections.abc import Mapping

ROUTER = "write gatewayAPI, istio or nginx"
STEPS = "write steps, for example [{setWeight: 10, pause: {duration: 1m}}, {setWeight: 50}]"
METRICS = "queries stand in analysis.metrics, there are no templates of them"
SIMPLE = (
    "write simple: {}; maxSurge and maxUnavailable stand beside strategy, or in rollout beside it"
)

WORDS: Mapping[str, str] = {
    "abortScaleDownDelaySeconds": "what was taken back goes at once, after its traffic",
    "alb": ROUTER,
    "ambassador": ROUTER,
    "analysis.args": METRICS,
    "analysis.count": "write iterations",
    "analysis.templates": METRICS,
    "analysis.threshold": "write failureLimit; a threshold is one of a metric",
    "antiAffinity": "write affinity into the template",
    "apisix": ROUTER,
    "appMesh": ROUTER,
    "autoscalerRef": "the autoscaler's scaleTargetRef names the Rollout",
    "canary.threshold": "write analysis.failureLimit",
    "canaryMetadata": "pods carry the label rollouts.kulta.io/type",
    "failureCondition": "write threshold or thresholdRange",
    "maxWeight": STEPS,
    "metrics.count": "write iterations into analysis",
    "metrics.failureLimit": "write failureThreshold, or failureLimit into analysis",
    "mirrorWeight": "mirror copies all requests",
    "placement": "write destination.fleet: every member of the fleet receives",
    "postPromotionAnalysis": "write analysis: it judges the preview, before the promotion",
    "prePromotionAnalysis": "write analysis: it judges the preview",
    "previewReplicaCount": "a preview has all replicas",
    "progressDeadlineAbort": "who misses progressDeadlineSeconds is always taken back",
    "provider.prometheus": "write provider.address, and query beside provider",
    "restartAt": "fleet rollout restart does it, or the annotation kulta.io/restart=true",
    "rollingUpdate": SIMPLE,
    "scaleDownDelaySeconds": "write scaleDownDelay beside strategy, or into rollout beside it",
    "setCanaryScale.weight": "write percent",
    "skipAnalysis": "leave out analysis",
    "smi": ROUTER,
    "stableMetadata": "pods carry the label rollouts.kulta.io/type",
    "stepWeight": STEPS,
    "stepWeights": STEPS,
    "steps.experiment": "write the strategy abTesting",
    "steps.weight": "write setWeight",
    "strategy.type": SIMPLE,
    "successCondition": "write threshold or thresholdRange",
    "targetRef": "write workloadRef",
    "traefik": ROUTER,
    "trafficRouting.plugins": ROUTER,
}
"""By the name of the field, or by that of the field around it and its own."""


def words(path: str) -> str:
    """What to write instead of the unknown field at `path`; empty: nobody knows it."""
    *around, last = ["", *(part.partition("[")[0] for part in path.split("."))]
    return WORDS.get(f"{around[-1]}.{last}") or WORDS.get(last, "")
