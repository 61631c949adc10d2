"""`fleet pause`, `approve`, `retry` and the like against the real hub, as a person would use them.

Which requests there are and what is said about them is in `tests/cli/runs`; here is what only a hub
can show: its answers, exit codes, and who is taken to have asked.
"""

from pathlib import Path

import pytest
import yaml

from e2e.ground.controlplane import ADMIN
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import APPLICATIONS
from fleet.kit import documents
from tests.readme import ROOT
from tests.shell import Done, fleet

WAVES = [
    {"name": "canary", "clusters": ["west"], "after": [{"approval": {}}]},
    {"name": "rest", "remaining": True},
]


class Console:
    """A person in the namespace of a tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    def __call__(self, *words: str) -> Done:
        plane = self.tenant.world.plane
        return fleet(*words, "--kubeconfig", str(plane.kubeconfig), "-n", self.tenant.namespace)

    def said(self, *words: str) -> str:
        """What a command prints that has to be done."""
        done = self(*words)
        assert done.returncode == 0, done
        return done.stdout

    def refused(self, *words: str) -> str:
        """What a command says that cannot be done."""
        done = self(*words)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


def is_held(tenant: Tenant, name: str) -> bool:
    """Whether the hub holds the Rollout in that member."""
    found = tenant.puppets[name].rollout(tenant.namespace, NAME)
    return found is not None and "hold" in found["spec"]


def is_done(tenant: Tenant, phase: str) -> bool:
    """Whether the run has come so far; as an engine does, west reports again till then."""
    tenant.complete("app:v1", "west")
    return bool(tenant.run(1)["phase"] == phase)


def test_a_run_is_steered_to_its_end(tenant: Tenant) -> None:
    console = Console(tenant)
    tenant.deliver("app:v1", waves=WAVES)
    tenant.puppets["west"].await_image(tenant.namespace, NAME, "app:v1")
    assert console.said("pause", NAME) == f"{NAME}-1: paused by request of {ADMIN}\n"
    assert tenant.await_phase(1, "Paused")["paused"] is True
    until(lambda: is_held(tenant, "west"), "west is held", within=20)
    assert console.said("resume", f"fr/{NAME}-1") == f"{NAME}-1: resumed by request of {ADMIN}\n"
    until(lambda: not is_held(tenant, "west"), "west is let go", within=20)
    until(lambda: is_done(tenant, "AwaitingApproval"), "west is done", within=60)
    waited = console.said("wait", NAME, "--for", "awaitingApproval", "--timeout", "60s")
    assert waited.startswith(f"{NAME}-1  AwaitingApproval  wave 1/2 canary  1/3 updated")
    assert console("wait", NAME, "--timeout", "1s").returncode == 3
    digest = tenant.await_phase(1, "AwaitingApproval")["planDigest"]
    wrong = console.refused("approve", NAME, "--plan", "00000000")
    assert f"then fleet approve {NAME}-1 --plan {digest}" in wrong
    late = console.refused("approve", NAME, "--wave", "rest")
    assert late == f"Refused: {NAME}-1: wave rest does not wait for an approval now\n"
    approved = f"{NAME}-1: wave canary is approved, plan {digest} by {ADMIN}\n"
    assert console.said("approve", NAME, "--plan", digest) == approved
    the_failed_again(tenant, console)


def test_the_file_that_was_applied_changes_nothing(tenant: Tenant, tmp_path: Path) -> None:
    """Whatever defaults the API server has filled in, and in whatever order it keeps the keys."""
    console, file = Console(tenant), tmp_path / "application.yaml"
    manifest = documents.one((ROOT / "examples/demo/application.yaml").read_text())
    manifest["metadata"] = {"name": NAME}
    manifest["spec"]["destination"] = {"fleet": "all"}
    manifest["spec"]["deliveryPolicy"]["waves"] = WAVES
    file.write_text(yaml.safe_dump(manifest, sort_keys=False))
    tenant.put(APPLICATIONS, manifest)
    tenant.puppets["west"].await_image(tenant.namespace, NAME, "sample:v1")
    assert f"nothing would begin: {NAME}-1 delivers this" in console.said("plan", "-f", str(file))
    assert "west: nothing changes" in console.said("diff", "-f", str(file))


def the_failed_again(tenant: Tenant, console: Console) -> None:
    """One fails, is tried again, and the run comes to its end."""
    tenant.puppets["east"].await_image(tenant.namespace, NAME, "app:v1")
    tenant.puppets["east"].fail(tenant.namespace, NAME)
    assert console("wait", NAME, "--timeout", "60s").returncode == 1
    shown = console.said("get", NAME)
    assert f"{NAME}-1  ✘ Halted  canary, app:v1  namespace {tenant.namespace}" in shown
    assert "✘ east   rest  Failed" in shown
    assert "error-rate 37.5 is not below 5" in shown
    assert f"fleet resume {NAME}-1" in console.said("describe", f"fr/{NAME}-1")
    assert console.said("retry", NAME) == f"{NAME}-1: retry of 1: east, by {ADMIN}\n"
    until(lambda: len(tenant.dispatches("east")) == 2, "it is sent again", within=20)
    tenant.complete("app:v1", "east", "north")
    seen = console.said("watch", NAME, "--timeout", "60s").splitlines()
    assert seen[-1].endswith(
        f"{NAME}-1  Succeeded  wave 2/2 rest  3/3 updated  3 of 3 clusters updated"
    )
    assert "✔ Succeeded   3/3" in console.said("history", NAME)
    assert console.said("get", "-o", "name") == f"application.fleet.kulta.io/{NAME}\n"
    assert f"fleet rollback {NAME}-1 takes it back" in console.refused("pause", NAME)
    assert "no Application or run basket in namespace" in console.refused("pause", "basket")
