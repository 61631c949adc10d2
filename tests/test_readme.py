"""The README says what is true: generated blocks are current, YAML is valid, links lead somewhere.

That its commands exist is in `test_commands`.
"""

import re
from typing import get_args

import pytest
import yaml

from fleet import settings
from fleet.api.application import DeliveryPolicy
from fleet.api.hooks import Hook
from fleet.api.rollout import Canary, Phase, Rollout, RolloutSpec
from fleet.api.strategy import StepAnalysis
from fleet.kulta.core.feedback import validation
from fleet.kulta.core.routers import ROUTERS, Backends
from fleet.kulta.core.strategies import STRATEGIES
from tests import gen, readme
from tests.kulta.audience import Audience, Behaviour
from tests.kulta.checker import leads
from tests.kulta.world import World, canary_world, furnish

TEXT = readme.README.read_text()


def test_generated_blocks_are_current() -> None:
    assert readme.regenerated(TEXT) == TEXT, "run: python -m tests.readme"


def test_the_delivery_policy_of_the_readme_is_valid() -> None:
    found = re.search(r"```yaml\n(deliveryPolicy:.*?)```", TEXT, re.DOTALL)
    assert found
    policy = yaml.safe_load(found[1])["deliveryPolicy"]
    parsed = DeliveryPolicy.model_validate(policy, extra="forbid")
    assert [wave.name for wave in parsed.waves] == ["canary", "rest"]


def test_the_canary_without_a_router_does_what_the_readme_says() -> None:
    found = re.search(r"```yaml\n(maxSurge:.*?)```", TEXT, re.DOTALL)
    assert found
    manifest = gen.manifest(**yaml.safe_load(found[1]), replicas=10)
    assert validation.of_manifest(manifest) == ()
    world = World(manifest).settle()
    world.image("shop:v2")
    world.run(60)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (8, 2)
    world.annotate("rollback")
    world.settle()
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (10, 0)


def test_the_pods_apart_from_the_weight_of_the_readme() -> None:
    """4 of 5 are enough to go on, and what each comment says is so."""
    found = re.search(r"```yaml\n(readyThreshold:.*?)```", TEXT, re.DOTALL)
    assert found
    world = canary_world(routed=True, replicas=10)
    strategy = {"canary": gen.canary(routed=True)["canary"] | yaml.safe_load(found[1])}
    world.manifest["spec"]["strategy"] = strategy
    assert validation.of_manifest(world.manifest) == ()
    world.settle()
    world.able = {gen.revision("shop:v2"): 4}
    world.image("shop:v2")
    for seconds, pods, weight in ((60, 5, 0), (120, 5, 10), (300, 1, 10)):
        world.run(seconds)
        assert (world.size("shop:v2"), world.split()[1]) == (pods, weight)
    world.able.clear()
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED


def test_the_checks_at_full_traffic_of_the_readme() -> None:
    """The default is off; iterations, where not set, are 1."""
    found = re.search(r"`analyzeAtFull: (\{.*?\})`", TEXT)
    assert found
    steps = [{"setWeight": 20}]
    for asked, last in ((None, None), ({}, 1), (yaml.safe_load(found[1]), 3)):
        more = {} if asked is None else {"analyzeAtFull": asked}
        way = Canary.model_validate({**gen.canary(steps=steps)["canary"], **more}).way
        assert len(way) == (1 if asked is None else 2)
        if last is not None:
            assert (way[-1].set_weight, way[-1].analysis) == (100, StepAnalysis(iterations=last))


def test_the_steps_of_the_promotion_of_the_readme() -> None:
    found = re.search(r"`promotionSteps: (\[.*?\])`.*?`steps: (\[.*?\])`", TEXT)
    assert found
    ramp, steps = (yaml.safe_load(item) for item in found.groups())
    world = canary_world(routed=True)
    world.manifest["spec"]["strategy"] = gen.canary(routed=True, steps=steps, promotionSteps=ramp)
    world.settle()
    world.weights.clear()
    world.image("shop:v2")
    world.settle()
    assert world.weights == [50, 70, 90, 0]
    assert Canary.model_fields["promotion_steps"].default == ()


def test_the_routers_of_the_readme_are_weighted_together() -> None:
    found = re.search(r"```yaml\n(trafficRouting:.*?)```", TEXT, re.DOTALL)
    assert found
    strategy = gen.canary((20, None), 100, **yaml.safe_load(found[1]))
    manifest = gen.manifest(strategy=strategy)
    assert validation.of_manifest(manifest) == ()
    world = World(manifest)
    furnish(world, (gen.STABLE, "stable"), (gen.CANARY, "canary"), routed=True)
    world.routes["internal"] = gen.route(name="internal")
    (rule,) = world.routes["internal"]["spec"]["rules"]
    world.routes["internal"]["spec"]["rules"] = [{**rule, "name": key} for key in ("api", "web")]
    for name, kind in (("checkout-rpc", "GRPCRoute"), ("http", "HTTPRoute"), ("rpc", "GRPCRoute")):
        world.routes[name] = gen.route(kind=kind, name=name)
        world.routes[name]["metadata"]["labels"] = dict(gen.APP)
    mesh, web = gen.virtual_service(), gen.ingress()
    mesh["spec"]["http"][0]["name"] = "main"
    world.routes |= {"mesh": mesh, "web": web}
    world.settle()
    world.image("shop:v2")
    world.run(60)
    assert world.split("web") == (100, 0), "it is never written"
    assert {world.split(name) for name in world.routes if name != "web"} == {(80, 20)}
    assert f"{gen.NAME}-{gen.ROUTE}-canary" in world.routes


def test_the_traffic_of_one_cluster_in_the_readme_is_that_of_its_example() -> None:
    found = re.search(r"```yaml\n(apiVersion: v1\nkind: Service\n.*?)```", TEXT, re.DOTALL)
    assert found
    *made, route = yaml.safe_load_all(found[1])
    path = readme.ROOT / "examples/valid/rollout-canary.yaml"
    example = Rollout.parse(yaml.safe_load(path.read_text()))
    canary = example.spec.strategy.canary
    assert canary
    assert canary.traffic_routing
    assert canary.traffic_routing.gateway_api
    names = [canary.stable_service, canary.canary_service]
    assert [item["metadata"]["name"] for item in made] == names
    labels = example.spec.selector.match_labels
    assert [item["spec"]["selector"] for item in made] == [labels, labels]
    assert route["metadata"]["name"] == canary.traffic_routing.gateway_api.http_route
    parts = Backends(rollout=example.name, stable=names[0], canary=names[1], port=canary.port)
    assert ROUTERS["HTTPRoute"].problem(route, parts) is None


def test_the_mirror_of_the_readme_gets_copies_of_all_requests() -> None:
    found = re.search(r"```yaml\n(canary:\n  mirror:.*?)```", TEXT, re.DOTALL)
    assert found
    (strategy,) = gen.canary(routed=True).values()
    manifest = gen.manifest(strategy={"canary": {**strategy, **yaml.safe_load(found[1])["canary"]}})
    assert validation.of_manifest(manifest) == ()
    world = World(manifest)
    furnish(world, (gen.STABLE, "stable"), (gen.CANARY, "canary"), routed=True)
    world.settle()
    world.image("shop:v2")
    world.run(300)
    (rule,) = world.routes[gen.ROUTE]["spec"]["rules"]
    assert [item["type"] for item in rule["filters"]] == ["RequestMirror"]
    assert (world.split(), world.ready("shop:v2")) == ((100, 0), 4)


def test_headers_and_cookies_of_the_readme_lead_to_the_canary() -> None:
    found = re.search(r"```yaml\n(canary:\n  headerRoutes:.*?)```", TEXT, re.DOTALL)
    assert found
    (strategy,) = gen.canary(routed=True).values()
    manifest = gen.manifest(strategy={"canary": {**strategy, **yaml.safe_load(found[1])["canary"]}})
    assert validation.of_manifest(manifest) == ()
    world = World(manifest)
    furnish(world, (gen.STABLE, "stable"), (gen.CANARY, "canary"), routed=True)
    world.settle()
    world.image("shop:v2")
    world.run(300)
    rules = world.routes[gen.ROUTE]["spec"]["rules"]
    names = [rule["matches"][0]["headers"][0]["name"] for rule in rules[:-1]]
    assert (names, world.split()) == (["X-Team", "Cookie"], (90, 10))
    assert "Max-Age=86400" in str(rules[-1])
    canary = Canary.model_validate({**strategy, "sessionAffinity": {"cookieName": "version"}})
    assert canary.session_affinity is not None
    assert (canary.session_affinity.max_age, canary.header_routes) == (86_400, ())
    assert canary.external_weight is None


def test_the_weight_from_outside_of_the_readme_is_followed() -> None:
    found = re.search(r"`externalWeight: (\d+)`", TEXT)
    assert found
    strategy = gen.canary(routed=True, steps=[], externalWeight=int(found[1]))
    assert validation.of_manifest(gen.manifest(strategy=strategy)) == ()
    world = canary_world(routed=True)
    world.manifest["spec"]["strategy"] = strategy
    world.settle()
    world.image("shop:v2")
    world.run(60)
    assert world.split() == (75, 25)
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED


def test_the_rollback_window_of_the_readme_spares_the_steps() -> None:
    found = re.search(r"`rollbackWindow: (\d+)`", TEXT)
    assert found
    world = canary_world((20, None), 100, routed=True, rollbackWindow=int(found[1]))
    world.settle()
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.PAUSED
    world.annotate("promote-full")
    world.settle()
    world.image("shop:v1")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert RolloutSpec.model_fields["rollback_window"].default == 0


def test_the_hooks_of_the_readme_are_asked() -> None:
    """With what is said of their defaults and types."""
    found = re.search(r"```yaml\n(spec:\n  hooks:.*?)```", TEXT, re.DOTALL)
    assert found
    spec = yaml.safe_load(found[1])["spec"]
    (steps,) = spec["strategy"].values()
    manifest = gen.manifest(strategy=gen.canary(routed=True, **steps), hooks=spec["hooks"])
    assert validation.of_manifest(manifest) == ()
    world = World(manifest)
    furnish(world, (gen.STABLE, "stable"), (gen.CANARY, "canary"), routed=True)
    world.settle()
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    points = [("gate", "entry"), ("load", "step 0"), ("load", "step 1")]
    assert list(world.hooks.called) == points
    hook = Hook.model_validate(spec["hooks"][0])
    assert (hook.timeout_seconds, hook.retries, hook.metadata) == (10, 2, {})
    types = get_args(get_args(Hook.model_fields["type"].annotation)[0])
    assert [f"| `{item}` |" in TEXT for item in types] == [True] * 8


def test_the_blue_green_of_the_readme_does_what_the_text_says() -> None:
    """Judged in its preview, promoted by itself after ten minutes, back at once for five more."""
    found = re.search(r"```yaml\n(scaleDownDelay:.*?blueGreen:.*?)```", TEXT, re.DOTALL)
    assert found
    manifest = gen.manifest(**yaml.safe_load(found[1]))
    assert validation.of_manifest(manifest) == ()
    wish = manifest["spec"]["strategy"]["blueGreen"]
    wish["analysis"]["prometheus"] = {"address": "http://prometheus:9090"}  # else the engine's own
    world = World(manifest, answer=lambda text: 0.5)
    furnish(world, (gen.ACTIVE, "active"), (gen.PREVIEW, "preview"), routed=True)
    world.settle()
    world.image("shop:v2")
    world.run(500)
    assert world.status.phase is Phase.PREVIEW
    world.run(200)
    assert world.status.phase is Phase.COMPLETED
    assert world.behind(gen.ACTIVE) == {gen.revision("shop:v2")}
    world.annotate("rollback")
    world.run(1)
    assert world.behind(gen.ACTIVE) == {gen.revision("shop:v1")}


def test_the_experiment_of_the_readme_does_what_the_text_says() -> None:
    """C converts more: it wins after the least time, is promoted, and the route is as it was."""
    found = re.search(r"```yaml\n(strategy:\n  abTesting:.*?)```", TEXT, re.DOTALL)
    assert found
    manifest = gen.manifest(**yaml.safe_load(found[1]))
    assert validation.of_manifest(manifest) == ()
    wish = manifest["spec"]["strategy"]["abTesting"]
    wish["analysis"]["prometheus"] = {"address": "http://prometheus:9090"}  # else the engine's own
    third = wish["variants"][0]["containers"][0]["image"]
    crowd = {"shop:v1": (8, 0.1), "shop:v2": (1, 0.1), third: (1, 0.2)}
    arms = {key: Behaviour(rate=n, conversions=part) for key, (n, part) in crowd.items()}
    world = World(manifest, answer=Audience(arms))
    services = (gen.STABLE, gen.VARIANT, f"{gen.STABLE}-c")
    roles = [(name, f"variant-{arm}") for name, arm in zip(services, "abc", strict=True)]
    furnish(world, *roles, routed=False)
    world.routes = {gen.ROUTE: gen.route(rules=[{"backendRefs": [gen.backend(gen.STABLE, 1)]}])}
    world.settle()
    world.image("shop:v2")
    world.run(3_000)
    assert world.status.phase is Phase.EXPERIMENTING
    world.run(1_000)
    assert world.status.ab_experiment is not None
    assert world.status.ab_experiment.winner == "C"
    world.annotate("promote")
    world.settle()
    assert (world.status.phase, world.behind(gen.STABLE)) == (
        Phase.COMPLETED,
        {gen.revision(third)},
    )
    assert leads(world) == [gen.STABLE]


WORDS = {
    "simple": "simple",
    "canary": "canary",
    "blueGreen": "blue-green",
    "abTesting": "A/B testing",
}
"""What people call the strategies."""


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_that_works_is_not_said_to_be_missing(strategy: str) -> None:
    status = re.search(r"^## Status\n(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)
    is_not = re.search(r"^## What it is.*?\n(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)
    assert status
    assert is_not
    works, _, missing = status[1].partition("Not yet:")
    assert WORDS[strategy] in works
    assert WORDS[strategy] not in missing
    assert WORDS[strategy] in is_not[1]


def test_a_session_begins_with_the_image_that_the_manifests_name() -> None:
    assert f"docker build -t {settings.ENGINE_IMAGE} ." in TEXT


def test_a_session_registers_the_members_that_its_fleet_names() -> None:
    """And tells them apart by the label that its Application's waves ask for."""
    session = TEXT.partition("## A session")[2].partition("\n## ")[0]
    added = re.findall(r"fleet cluster add (\w+) .*?--labels (\w+)=(\w+)", session, re.DOTALL)
    told = {name for name, _, _ in added} | set(re.findall(r"# and so (\w+)", session))
    fleet, application = (
        yaml.safe_load((readme.ROOT / f"examples/demo/{kind}.yaml").read_text())
        for kind in ("fleet", "application")
    )
    assert told == set(fleet["spec"]["members"]["names"])
    wave = application["spec"]["deliveryPolicy"]["waves"][0]
    assert wave["clusterSelector"]["matchLabels"] == {added[0][1]: added[0][2]}
    assert application["spec"]["destination"]["namespace"] in session


@pytest.mark.parametrize("session", ["A session", "KULTA in one cluster"])
def test_a_session_says_where_the_commands_after_it_belong(session: str) -> None:
    """They are written without `-n`, and go to the namespace of the context."""
    lines = TEXT.partition(f"## {session}\n")[2].partition("\n## ")[0].splitlines()
    begun = next(n for n, line in enumerate(lines) if "kubectl create namespace" in line)
    place = lines[begun].split()[4]
    after = f"$ kubectl config set-context --current --namespace {place} "
    assert lines[begun + 1].startswith(after)


def test_every_variable_that_the_settings_read_is_documented() -> None:
    source = (readme.ROOT / "fleet/settings.py").read_text()
    names = set(re.findall(r'"((?:KULTA|POD|RUST)_[A-Z_]+|KUBECONFIG|HOSTNAME)"', source))
    assert names
    assert {name for name in names if f"`{name}`" not in TEXT} == set()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z-]+)", TEXT))))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (readme.ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)h][^)]*)\)", TEXT))))
def test_every_file_that_the_readme_links_exists(link: str) -> None:
    assert (readme.ROOT / link).exists()
