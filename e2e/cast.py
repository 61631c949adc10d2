"""Rollouts of all strategies that go their ways at once, and the people beside them.

For tests that disturb the engine: whatever happens to it, everybody of the cast comes to the same
end. Judged by what anybody can see, and by the audit log. Pods are played by kwok, and nobody here
acts for the engine.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2e.ground.controlplane import ControlPlane
from e2e.ground.subject import TYPE_LABEL, Subject, route, service
from fleet.api import names
from fleet.kit import hashing

PAUSED = [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]
KINDS = ("simple", "canary", "routed", "bluegreen", "abtesting")
ASKS: Mapping[str, str] = {
    "Paused": "promote",
    "Preview": "promote",
    "Experimenting": "conclude-experiment",
    "Concluded": "promote",
}
"""Phase → what a person asks for who finds a Rollout in it."""
SECOND: Mapping[str, str] = {"canary": "canary", "bluegreen": "preview", "abtesting": "variant-b"}
"""Kind → the role of the new revision's Service."""


@dataclass(eq=False, kw_only=True)
class Actor:
    """One Rollout, which gets one version after the other."""

    kind: str
    subject: Subject
    number: int = 0

    def set_out(self) -> None:
        """To the next version."""
        self.number += 1
        self.subject.apply(self.image(self.number))

    def comes_to_its_end(self) -> bool:
        """Whether it has come to the end of its way; where a person is awaited, one comes."""
        found = self.subject.object
        status, notes = found.get("status", {}), found["metadata"].get("annotations", {})
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return False
        if status["currentPodHash"] != self.revision(self.number):
            return False
        verb = ASKS.get(status["phase"], "")
        if verb and f"kulta.io/{verb}" not in notes and verb not in status.get("handled", {}):
            self.subject.request(verb)
        count = self.subject.replicas
        return bool(
            status["phase"] == "Completed"
            and status["stablePodHash"] == self.revision(self.number)
            and not notes
            and not status.get("handled")
            and (status.get("readyReplicas"), status.get("replicas")) == (count, count)
        )

    def image(self, number: int) -> str:
        return f"app:v{number}"

    def revision(self, number: int) -> str:
        """The hash of that version's pods."""
        return hashing.pod_hash(self.subject.manifest(self.image(number))["spec"]["template"])

    def made(self) -> Counter[str]:
        """ReplicaSet → how often it was made; a refused one does not count."""
        posts = self.subject.asked(verbs=["create"], resource="replicasets.apps", code=201)
        mine = (item.body["metadata"]["name"] for item in posts)
        return Counter(name for name in mine if name.rpartition("-")[0] == self.subject.name)

    def picture(self) -> Any:
        """All that can be seen of it and of its way to the present version, but for times and for
        what tells one version from another."""
        subject = self.subject
        new, old = self.revision(self.number), self.revision(self.number - 1)
        status = subject.status
        sets = {
            key: (item["spec"]["replicas"], _role(item["spec"]["template"]))
            for key, item in subject.sets().items()
            if key in (new, old)
        }
        pods = sorted(_role(item) for item in subject.pods() if "deletionTimestamp" not in item)
        told = [
            [item[key] for key in ("action", "reason")]
            + [item.get(key) for key in ("fromStep", "toStep", "weight")]
            for item in status["decisions"]
            if item["revision"] == new
        ]
        kept = ("phase", "stablePodHash", "currentPodHash", "step", "currentWeight", "handled")
        conditions = [
            (item["type"], item["status"], item["reason"]) for item in status["conditions"]
        ]
        seen = {
            "sets": sets,
            "pods": pods,
            "told": told,
            "status": {key: status.get(key) for key in kept},
            "conditions": conditions,
            "traffic": self._traffic(),
        }
        text = json.dumps(seen, sort_keys=True)
        return json.loads(text.replace(new, "NEW").replace(old, "OLD"))

    def _traffic(self) -> Any:
        """What Services select, and what the route says."""
        selects = []
        for name in (self.subject.name, f"{self.subject.name}-2"):
            found = self.subject.service(name)
            selects.append(found.get("spec", {}).get("selector"))
        path = names.HTTPROUTES.path(self.subject.namespace, self.subject.name)
        code, found = self.subject.plane.call("GET", path)
        return [selects, found["spec"]["rules"] if code == 200 else None]


def _role(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["labels"][TYPE_LABEL])


def actor(plane: ControlPlane, namespace: str, kind: str, name: str) -> Actor:
    """One of that kind, with its Services and its route."""
    member = "canary" if kind == "routed" else kind
    spec: dict[str, Any] = {}
    if kind != "simple":
        first = {"canary": "stable", "bluegreen": "active", "abtesting": "variant-a"}[member]
        plane.apply(
            service(namespace, name, name, first),
            service(namespace, f"{name}-2", name, SECOND[member]),
        )
    if kind == "routed":
        plane.apply(route(namespace, name, name, f"{name}-2"))
    if kind == "abtesting":
        plane.apply(route(namespace, name, name))
    routing = {"trafficRouting": {"gatewayAPI": {"httpRoute": name}}}
    if member == "canary":
        spec = {"stableService": name, "canaryService": f"{name}-2", "steps": PAUSED}
        strategy = {"canary": spec | (routing if kind == "routed" else {})}
    elif kind == "bluegreen":
        strategy = {"blueGreen": {"activeService": name, "previewService": f"{name}-2"}}
    elif kind == "abtesting":
        match = {"header": {"name": "X-Variant", "value": "b"}}
        arms = {"variantAService": name, "variantBService": f"{name}-2", "variantBMatch": match}
        strategy = {"abTesting": arms | routing}
    else:
        strategy = {"simple": {}}
    subject = Subject(plane=plane, namespace=namespace, name=name, strategy=strategy)
    return Actor(kind=kind, subject=subject)
