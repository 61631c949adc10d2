"""Renderings that are kept: whatever a member gets may depend on is asked for anew."""

from typing import Any

import pytest

from fleet.api import Fleet, MemberCluster
from fleet.api.fleetrollout import Snapshot
from fleet.errors import UserError
from fleet.hub.runtime import renders
from fleet.hub.runtime.drafts import Drafts
from fleet.hub.runtime.renders import Renders
from fleet.rendering.delivery import Delivery
from fleet.rendering.environment import TemplateSet
from fleet.rendering.render import render
from fleet.telemetry.metrics import HubMetrics
from tests.hub import gen
from tests.hub.runtime.desk import FakePress
from tests.hub.world import TEMPLATES

METRICS = [{"name": "error-rate", "threshold": 5.0}]
CANARY = {"steps": [{"setWeight": 20}], "analysis": {"metrics": METRICS}}
PATCH = [{"op": "replace", "path": "/workload/replicas", "value": 2}]
OVERRIDE = {"clusterSelector": {"matchLabels": {"region": "ap"}}, "patch": PATCH}
VARS = "metadata:\n  annotations: {vars: {{ cluster.vars | to_json | to_json }}}\n"
NAMING = TemplateSet.of(
    {name: text.replace("metadata:\n", VARS, name[0] == "r") for name, text in TEMPLATES.files}
)
"""The shipped ones, the Rollout's with what the member has for itself."""


def made(templates: TemplateSet) -> Renders:
    return Renders(templates, Drafts(FakePress(), templates, HubMetrics()))


def changed(given: Any, **update: Any) -> Any:
    """A new version of an object, as an API server would make it of such a change."""
    body = given.manifest()
    generation = body["metadata"].get("generation", 0) + ("spec" in update)
    meta = {**body["metadata"], **update.pop("metadata", {}), "generation": generation}
    spec = {**body["spec"], **update.pop("spec", {})}
    return type(given).parse({**body, "metadata": meta, "spec": spec})


def delivery(cluster: MemberCluster, fleet: Fleet, image: str = "v1", **given: Any) -> Delivery:
    policy = {"strategy": {"canary": CANARY}}
    body = {**gen.spec(image), "deliveryPolicy": policy, "overrides": [OVERRIDE]}
    snapshot = Snapshot(
        name="checkout", uid="app", generation=1, spec=gen.application(body=body).spec
    )
    return Delivery(
        **{
            "application": snapshot,
            "namespace": "shop",
            "cluster": cluster,
            "fleet": fleet,
            "revision": "rev1",
            **given,
        }
    )


EAST, FLEET = gen.cluster("eu-1", region="eu"), gen.fleet()
NEAR = {"prometheus": {"address": "http://near:9090"}}


@pytest.mark.parametrize("templates", [TEMPLATES, NAMING], ids=["they name no member", "they do"])
@pytest.mark.parametrize(
    ("cluster", "fleet", "given"),
    [
        pytest.param(gen.cluster("eu-2", region="eu"), FLEET, {}, id="another member"),
        pytest.param(changed(EAST, metadata={"labels": {"region": "ap"}}), FLEET, {},
                     id="an override holds for it"),
        pytest.param(changed(EAST, spec=NEAR), FLEET, {}, id="its own Prometheus"),
        pytest.param(changed(EAST, spec={"vars": {"domain": "eu"}}), FLEET, {}, id="its vars"),
        pytest.param(EAST, changed(FLEET, spec={"defaults": NEAR}), {}, id="that of its fleet"),
        pytest.param(EAST, changed(FLEET, metadata={"labels": {"tier": "2"}}), {},
                     id="labels of the fleet"),
        pytest.param(EAST, FLEET, {"revision": "rev2"}, id="another revision"),
        pytest.param(EAST, FLEET, {"namespace": "other"}, id="another tenant"),
    ],
)  # fmt: skip
def test_what_is_kept_is_what_would_be_rendered_now(
    templates: TemplateSet, cluster: MemberCluster, fleet: Fleet, given: dict[str, Any]
) -> None:
    kept = made(templates)
    for one in (delivery(EAST, FLEET), delivery(cluster, fleet, **given), delivery(EAST, FLEET)):
        assert kept.render(one) == render(templates, one)


def test_another_version_of_the_application_is_rendered_anew() -> None:
    kept, first = made(TEMPLATES), delivery(EAST, FLEET)
    second = delivery(EAST, FLEET, image="v2")
    newer = second.application.model_copy(update={"generation": 2})
    for one in (first, delivery(EAST, FLEET, application=newer)):
        assert kept.render(one) == render(TEMPLATES, one)


def test_members_that_are_alike_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    draw = renders.drawn

    def counted(*given: Any) -> Any:
        drawn.append(given[1].cluster.name)
        return draw(*given)

    monkeypatch.setattr(renders, "drawn", counted)
    kept = made(TEMPLATES)
    for name in ("eu-1", "eu-2", "ap-1", "ap-2"):
        kept.render(delivery(gen.cluster(name, region=name.partition("-")[0]), FLEET))
    assert drawn == ["eu-1", "ap-1"], "an override holds for two of them"


def test_an_error_names_the_member_that_asks() -> None:
    kept = made(TemplateSet.of(dict(TEMPLATES.files) | {"rollout.yaml.j2": "{{ nothing }}"}))
    for name in ("eu-1", "eu-2"):
        with pytest.raises(UserError, match=f"^cluster {name}: template rollout"):
            kept.render(delivery(gen.cluster(name), FLEET))
