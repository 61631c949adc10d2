"""Stories of sources: whom a metric asks, with which credentials; the README's analyses and the
example's, run."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import yaml

from fleet.api.rollout import Phase
from fleet.kulta.core.feedback import validation
from fleet.kulta.core.plan import plan
from tests import gen, readme
from tests.kulta.ab import begun
from tests.kulta.world import World
from tests.stories.test_engine_analysis import judged, values
from tests.stories.test_engine_analysis_metrics import NEW, OLD, entry, number
from tests.stories.test_engine_canary import running

PLACE = {"address": "http://prometheus:9090"}


class TestProviders:
    """Whom a metric asks."""

    def test_a_json_api_is_asked_at_its_url(self) -> None:
        """Both revisions are asked where they are compared."""
        api = {"url": "https://api/{{ namespace }}?of={{ canary }}", "jsonPath": "$.rate"}
        metric = {"name": "sales", "provider": api, "compareToStable": {"maxIncrease": 1}}
        world = judged(lambda text: 5.0, metric, step=20)
        assert world.asked == [f"https://api/shop?of={name}" for name in (NEW, OLD)]
        (first, _) = world.plans[[bool(x.queries) for x in world.plans].index(True)].queries
        assert (first.path, first.secret, first.text) == ("$.rate", "", "")
        assert entry(world).query == f"https://api/shop?of={NEW} $.rate"
        assert world.settle().status.phase is Phase.COMPLETED

    def test_each_metric_may_have_a_prometheus_of_its_own(self) -> None:
        other = {"address": "http://other:9090", "secretRef": {"name": "keys"}}
        own = {"name": "mine", "query": "up", "threshold": 1, "provider": other}
        usual = {"name": "same", "query": "up", "threshold": 1}
        world = judged(number(0.5), own, usual)
        asked = next(item.queries for item in world.plans if item.queries)
        assert [(item.address, item.secret) for item in asked] == [
            ("http://other:9090", "keys"),
            ("http://prometheus:9090", ""),
        ]
        assert world.asked == ["up", "up"]

    @pytest.mark.parametrize(
        ("own", "asked"),
        [
            pytest.param({}, "http://usual:9090", id="that of the engine where none is named"),
            pytest.param({"prometheus": PLACE}, PLACE["address"], id="that which is named"),
        ],
    )
    def test_which_prometheus_is_asked(self, own: dict[str, Any], asked: str) -> None:
        metric = {"name": "error-rate", "threshold": 5.0}
        world = running((20, None), 100, analysis={"metrics": [metric], **own})
        world.image("shop:v2")
        world.run(5)
        seen = replace(world.observe(), default_prometheus="http://usual:9090", measurements={})
        due = plan(world.rollout, seen, world.now + timedelta(seconds=30)).queries
        assert {item.address for item in due} == {asked}

    def test_the_credentials_of_the_analysis_are_for_all_its_queries(self) -> None:
        place = {"address": "http://p:9090", "secretRef": {"name": "keys"}}
        world = judged(values(0.5), prometheus=place)
        asked = [query for plan in world.plans for query in plan.queries]
        assert {(item.address, item.secret) for item in asked} == {("http://p:9090", "keys")}

    def test_so_they_are_in_an_experiment(self) -> None:
        place = {"address": "http://p:9090", "secretRef": {"name": "keys"}}
        world = begun(answer=number(1_000.0), analysis=gen.ab_analysis(prometheus=place))
        world.run(1_000)
        asked = [query for plan in world.plans for query in plan.queries]
        assert {(item.address, item.secret) for item in asked} == {("http://p:9090", "keys")}

    def test_no_address_is_needed_where_every_metric_has_its_own(self) -> None:
        api = {"url": "https://api/x", "jsonPath": "$.rate"}
        metric = {"name": "sales", "provider": api, "threshold": 9}
        world = running(20, 100, analysis={"metrics": [metric]})
        world.answer = number(5.0)
        world.image("shop:v2")
        assert world.settle().status.phase is Phase.COMPLETED


class TestWithoutASource:
    """A metric that nobody can be asked about says so for itself, and spoils no other."""

    API: ClassVar[Any] = {"url": "https://api/x", "jsonPath": "$.rate"}
    SALES: ClassVar[Any] = {"name": "sales", "provider": API, "threshold": 9}
    RATE: ClassVar[Any] = {"name": "error-rate", "threshold": 5}

    def begun(self, *metrics: Any, sales: float) -> World:
        world = running(20, 100, analysis={"metrics": list(metrics)})
        world.answer = number(sales)
        world.image("shop:v2")
        return world.run(60)

    def test_one_that_runs_dry_changes_nothing(self) -> None:
        world = self.begun({**self.RATE, "dryRun": True}, self.SALES, sales=5.0)
        assert world.settle().status.phase is Phase.COMPLETED
        assert [item.verdict for item in world.status.analysis.metrics] == ["Error", "Passed"]
        seen = (item for plan in world.plans for item in plan.status.conditions)
        assert "MetricsUnavailable" not in {item.reason for item in seen}

    def test_another_still_takes_the_revision_back(self) -> None:
        world = self.begun(self.RATE, self.SALES, sales=10.0)
        assert world.status.phase is Phase.FAILED
        assert "sales: 10 against a threshold of 9" in world.status.message

    def test_it_holds_the_step_and_is_told(self) -> None:
        world = self.begun(self.RATE, self.SALES, sales=5.0)
        assert world.state == (Phase.PROGRESSING, 0, 20)
        assert world.condition("MetricsAvailable") == ("False", "MetricsUnavailable")
        assert "error-rate: no metrics source" in world.detail("MetricsAvailable")
        assert world.asked.count("https://api/x") > 1


def test_the_analysis_of_the_readme_does_what_the_text_says() -> None:
    """The queue decides: good, for a person to decide, bad."""
    found = re.search(r"```yaml\n(analysis:.*?)```", readme.README.read_text(), re.DOTALL)
    assert found
    wish = yaml.safe_load(found[1])["analysis"]
    world = running(20, 100, analysis=wish)
    assert validation.of_manifest(world.manifest) == ()
    world.answer = lambda text: 150.0 if "queue" in text else 1e3 if "increase" in text else 2.0
    world.image("shop:v2")
    world.run(240)
    assert world.condition("Paused") == ("True", "AnalysisUndecided")
    world.annotate("promote")
    world.answer = lambda text: 50.0 if "queue" in text else 1e3 if "increase" in text else 2.0
    world.run(100)
    assert (world.state, [item.passed for item in world.status.analysis.metrics]) == (
        (Phase.PROGRESSING, 1, 100),
        [2, 2, 2, 2],
    )
    assert world.settle().status.phase is Phase.COMPLETED


def test_the_sources_of_the_readme_are_asked() -> None:
    """The Prometheus with its Secret, the API with another."""
    found = re.findall(r"```yaml\n(analysis:.*?)```", readme.README.read_text(), re.DOTALL)
    world = running(20, 100, analysis=yaml.safe_load(found[1])["analysis"])
    assert validation.of_manifest(world.manifest) == ()
    world.answer = number(2.0)
    world.image("shop:v2")
    world.run(60)
    asked = {(x.secret, x.address) for plan in world.plans for x in plan.queries}
    url = "https://stats.example.com/v1/shop/orders?revision="
    assert asked == {
        ("metrics", "https://prometheus.example.com"),
        ("stats", f"{url}{NEW}"),
        ("stats", f"{url}{OLD}"),
    }
    assert world.status.phase is Phase.FAILED, "fewer than ten orders"


def test_the_example_is_judged_as_it_says() -> None:
    manifest = yaml.safe_load((readme.ROOT / "examples/valid/rollout-analysis.yaml").read_text())
    canary = manifest["spec"]["strategy"]["canary"]
    del canary["trafficRouting"]
    world = running(20, 100, analysis=canary["analysis"])
    world.manifest["spec"]["strategy"]["canary"]["steps"] = canary["steps"]
    world.answer = lambda text: 0.5 if "increase" not in text else 1e3
    world.image("shop:v2")
    world.run(300)
    assert world.state == (Phase.PROGRESSING, 1, 20)
    world.run(120)
    assert world.state == (Phase.PAUSED, 2, 50)
    assert world.status.analysis.metrics[3].verdict == "Failed"
    assert world.settle().status.phase is Phase.COMPLETED
