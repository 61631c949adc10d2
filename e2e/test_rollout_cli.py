"""`fleet rollout …` against a real API server and a real engine, as a person would use it.

Pods are played by kwok. What is drawn is golden in `tests/cli/rollouts`; here is what only a
cluster can show: watches, requests that are taken, exit codes, a template that comes back.
"""

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from e2e.ground.controlplane import ADMIN, ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.subject import Subject, service
from e2e.ground.waiting import until
from tests.shell import Done, fleet

STEPS = [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]
WATCHED = {"rollouts.kulta.io", "replicasets.apps", "pods"}
_numbers = itertools.count(1)


class Console:
    """A person in one namespace."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def __call__(self, verb: str, *words: str) -> Done:
        where = ("--kubeconfig", str(self.plane.kubeconfig), "-n", self.namespace)
        return fleet("rollout", verb, *words, *where)

    def canary(self, *steps: dict[str, Any], **spec: Any) -> Subject:
        """A canary with its Services, v1 stable and v2 asked for."""
        self.plane.apply(
            service(self.namespace, "web", "web", "stable"),
            service(self.namespace, "web-canary", "web", "canary"),
        )
        names = {"stableService": "web", "canaryService": "web-canary"}
        web = Subject(
            plane=self.plane,
            namespace=self.namespace,
            name="web",
            strategy={"canary": {**names, "steps": list(steps) or STEPS}},
            spec=spec,
        )
        web.apply("app:v1")
        web.wait(phase="Completed")
        web.apply("app:v2")
        return web


@pytest.fixture(scope="module")
def running(kwok: ControlPlane) -> Iterator[Engine]:
    """An engine for all tests here."""
    with Engine(kwok, kwok.folder, name="cli") as started:
        yield started


@pytest.fixture
def console(running: Engine) -> Console:
    plane = running.plane
    return Console(plane, plane.add_namespace(f"cli-{next(_numbers)}"))


@contextlib.contextmanager
def once_watched(console: Console, do: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as a command that runs inside watches the namespace and has had the
    time to say what it sees."""
    log, mark = console.plane.audit, console.plane.audit.mark()

    def is_watched() -> bool:
        found = log.read(since=mark, namespace=console.namespace, verbs=["watch"], user=ADMIN)
        return {item.resource for item in found} == WATCHED

    def wait_and_do() -> None:
        until(is_watched, "a command watches", within=20)
        time.sleep(0.5)
        do()

    with ThreadPoolExecutor() as pool:
        doing = pool.submit(wait_and_do)
        yield
        doing.result()


def test_a_rollout_is_shown_promoted_and_followed_to_its_end(console: Console) -> None:
    web = console.canary()
    web.wait(phase="Paused")
    shown = console("get", "ro/web")
    assert shown.returncode == 0
    assert "‖ Paused" in shown.stdout
    assert "paused at 50% until kulta.io/promote" in shown.stdout
    assert shown.stdout.count("✔ Running") == 2
    asked = console("promote", "web", "--wait", "--timeout", "2m")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert "web: asked to go on with revision 2 (" in asked.stdout
    assert web.status["phase"] == "Completed"
    assert "Promotion    ManualPromotion" in asked.stdout
    again = console("promote", "web")
    assert again.returncode == 1
    assert "nothing to promote: revision 2 (" in again.stderr


def test_a_watch_tells_every_change_and_how_it_ended(console: Console) -> None:
    web = console.canary()
    web.wait(phase="Paused")
    with once_watched(console, lambda: web.request("abort")):
        watched = console("watch", "web", "--timeout", "2m")
    assert watched.returncode == 1
    lines = watched.stdout.splitlines()
    assert "Paused  step 1/2  50%  2/2 ready" in lines[0]
    assert any("Rollback     ManualRollback" in line for line in lines)
    assert "Failed" in lines[-1]
    assert console("retry", "web").returncode == 0
    with once_watched(console, lambda: web.request("promote-full")):
        assert console("watch", "web", "--timeout", "2m").returncode == 0


def test_a_watch_that_lasts_too_long_ends_with_three(console: Console) -> None:
    console.canary().wait(phase="Paused")
    began = time.monotonic()
    assert console("watch", "web", "--timeout", "1s").returncode == 3
    assert time.monotonic() - began < 20


def test_pause_resume_abort_and_retry_do_what_they_say(console: Console) -> None:
    web = console.canary({"setWeight": 50, "pause": {"duration": "1h"}}, {"setWeight": 100})
    web.wait(phase="Paused")
    for verb in ("pause", "resume", "abort", "retry"):
        done = console(verb, "web")
        assert (done.returncode, done.stderr) == (0, ""), verb
        web.taken(verb)
        assert (web.status.get("pauseRequested") or False) is (verb == "pause"), verb
        assert (web.status["phase"] == "Failed") is (verb == "abort"), verb


def test_a_restart_replaces_every_pod_and_keeps_the_revision(console: Console) -> None:
    web = console.canary({"setWeight": 100})
    revision = web.wait(phase="Completed", updatedReplicas=2)["stablePodHash"]
    before = {item["metadata"]["uid"] for item in web.pods()}
    assert console("restart", "web", "--wait", "--timeout", "2m").returncode == 0
    after = {item["metadata"]["uid"] for item in web.pods()}
    assert before.isdisjoint(after)
    assert web.wait(phase="Completed", replicas=2)["stablePodHash"] == revision
    assert web.told("Restarting") == [1]


def test_undo_brings_a_revision_back_with_the_same_hash(console: Console) -> None:
    web = console.canary({"setWeight": 100})
    second = web.wait(phase="Completed", updatedReplicas=2)["stablePodHash"]
    web.apply("app:v3")
    third = web.wait(phase="Completed")["stablePodHash"]
    assert third != second
    told = console("history", "web").stdout.splitlines()
    assert [line.split()[0] for line in told[1:]] == ["*", "2", "1"]
    undone = console("undo", "web", "--wait", "--timeout", "2m")
    assert undone.returncode == 0
    assert f"spec.template is that of revision 2 ({second}) again, image app:v2" in undone.stdout
    assert web.status["stablePodHash"] == second
    assert len(web.sets()) == 3
    first = console("undo", "web", "--to", "1", "--wait", "--timeout", "2m")
    assert first.returncode == 0
    assert web.object["spec"]["template"]["spec"]["containers"][0]["image"] == "app:v1"
    assert "no revision 9" in console("undo", "web", "--to", "9").stderr


def test_what_a_hub_manages_is_steered_there(console: Console) -> None:
    web = console.canary()
    web.wait(phase="Paused")
    labels = {"fleet.kulta.io/application": "checkout", "fleet.kulta.io/cluster": "eu-7"}
    web.patch({"metadata": {"labels": labels}, "spec": {"dispatch": {"hub": "h", "sequence": 1}}})
    for verb, words in (
        ("promote", "fleet promote checkout --cluster eu-7"),
        ("conclude", "fleet conclude checkout --cluster eu-7"),
        ("abort", "fleet rollback checkout --cluster eu-7"),
        ("undo", "fleet rollback checkout --cluster eu-7"),
    ):
        done = console(verb, "web")
        assert done.returncode == 1
        assert words in done.stderr
    assert "annotations" not in web.object["metadata"]


def test_forms_for_programs_and_mistakes(console: Console) -> None:
    web = console.canary()
    web.wait(phase="Paused")
    assert json.loads(console("get", "web", "-o", "json").stdout)["metadata"]["name"] == "web"
    assert yaml.safe_load(console("get", "web", "-o", "yaml").stdout)["kind"] == "Rollout"
    assert console("get", "web", "-o", "name").stdout == "rollout.kulta.io/web\n"
    listed = console("get").stdout.splitlines()
    assert listed[1].split()[:4] == ["web", "canary", "‖", "Paused"]
    assert "node" in console("get", "web", "-o", "wide").stdout.lower()
    assert "1. now" in console("explain", "web").stdout
    missing = console("get", "nobody")
    assert (missing.returncode, "no Rollout nobody in namespace" in missing.stderr) == (1, True)
    assert console("get", "pods/web").returncode == 2
    assert console("watch", "web", "--timeout", "soon").returncode == 2
