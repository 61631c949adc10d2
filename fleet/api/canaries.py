"""Rules between the fields of a canary, in CEL; `api.faults` has the same in its words.

Used by the canaries of Rollouts and of Applications, whose route stands beside their workload.
"""

from dataclasses import replace

from fleet.api.rules import Rule

JUDGED = Rule(
    rule="!has(self.analyzeAtFull) && "
    "(!has(self.steps) || !self.steps.exists(step, has(step.analysis))) || "
    "has(self.analysis) && has(self.analysis.metrics) && self.analysis.metrics.size() > 0",
    message="a step of analysis, or analyzeAtFull, needs analysis.metrics: "
    "[{name: error-rate, threshold: 5}]",
    field=".analysis",
)

SCALED_BY_ROUTER = Rule(
    rule="!has(self.steps) || !self.steps.exists(step, has(step.setCanaryScale)) || "
    "has(self.trafficRouting)",
    message="setCanaryScale needs trafficRouting: without a router pods divide the traffic",
    field=".steps",
)

RAMPED_BY_ROUTER = Rule(
    rule="!has(self.promotionSteps) || self.promotionSteps.size() == 0 || "
    "(has(self.trafficRouting) && !has(self.analyzeAtFull))",
    message="promotionSteps need trafficRouting, and no analyzeAtFull, "
    "which gives all the traffic before the promotion",
    field=".promotionSteps",
)

RAMPED_UPWARDS = Rule(
    rule="!has(self.promotionSteps) || !has(self.steps) || self.steps.all(step, "
    "!has(step.setWeight) || self.promotionSteps.all(weight, weight > step.setWeight))",
    message="promotionSteps: each weight must be greater than that of the last step",
    field=".promotionSteps",
)

AT_LEAST_ONE_STEP = Rule(
    rule="has(self.steps) && self.steps.size() > 0",
    message="a canary needs at least one step: "
    "steps: [{setWeight: 20, pause: {duration: 5m}}, {setWeight: 100}]",
    field=".steps",
)


STEPS_OR_EXTERNAL = (
    replace(AT_LEAST_ONE_STEP, rule=f"has(self.externalWeight) || {AT_LEAST_ONE_STEP.rule}"),
    Rule(
        rule="!has(self.externalWeight) || "
        "!has(self.steps) && !has(self.promotionSteps) && !has(self.analyzeAtFull)",
        message="externalWeight replaces steps, promotionSteps and analyzeAtFull: leave them out",
        field=".externalWeight",
    ),
)

BESIDE_BY_GATEWAY = Rule(
    rule="!has(self.headerRoutes) && !has(self.sessionAffinity) || "
    "has(self.trafficRouting) && has(self.trafficRouting.gatewayAPI)",
    message="headerRoutes and sessionAffinity need trafficRouting.gatewayAPI",
    field=".trafficRouting",
)

RAMPED_ALONE = Rule(
    rule="!has(self.promotionSteps) || self.promotionSteps.size() == 0 || !has(self.analyzeAtFull)",
    message="promotionSteps need no analyzeAtFull, "
    "which gives all the traffic before the promotion",
    field=".promotionSteps",
)

RULES = (
    *STEPS_OR_EXTERNAL,
    BESIDE_BY_GATEWAY,
    JUDGED,
    SCALED_BY_ROUTER,
    RAMPED_BY_ROUTER,
    RAMPED_UPWARDS,
)
"""Those of a Rollout."""

WISHES = (*STEPS_OR_EXTERNAL, JUDGED, RAMPED_UPWARDS, RAMPED_ALONE)
"""Those of an Application; what needs its route it says itself."""
