"""What people see: the columns of `kubectl get` and the words of `kubectl explain`."""

import json
from typing import Any

import pytest

from e2e.examples import VALID, call, read, rollouts, two_steps
from e2e.ground.controlplane import ControlPlane
from fleet.api import names

RUN_STATUS = {
    "phase": "Soaking",
    "reason": "Soaking",
    "message": "soaking until 14:20:05Z",
    "counts": {"total": 120, "updated": 25, "unreachable": 2},
    "display": {
        "revision": "6f9c2d",
        "wave": "2/3 eu",
        "updated": "25/120",
        "traffic": "18%",
        "strategy": "Canary",
    },
    "nextCheck": "2026-11-20T14:20:05Z",
}


def add_run(plane: ControlPlane, namespace: str) -> None:
    application = read(VALID / "application-canary.yaml")
    manifest = {
        "apiVersion": names.FLEETROLLOUTS.api_version,
        "kind": "FleetRollout",
        "metadata": {"name": "checkout-14"},
        "spec": {
            "application": {"name": "checkout", "spec": application["spec"]},
            "number": 14,
            "revision": "6f9c2d1e00aa",
            "previousRevision": "5b1a77",
            "plan": {},
        },
    }
    call(plane, "POST", names.FLEETROLLOUTS.path(namespace), manifest)
    path = names.FLEETROLLOUTS.path(namespace, "checkout-14", "status")
    call(plane, "PATCH", path, {"status": RUN_STATUS})


def table(text: str) -> list[dict[str, str]]:
    """Rows by column, cut where the header's words begin, as a person reads them."""
    header, *lines = text.splitlines()
    words = header.split()
    starts = [header.index(f" {word} " if word != words[0] else word) for word in words[:-1]]
    starts = [starts[0], *(start + 1 for start in starts[1:]), header.rindex(words[-1])]
    ends = [*starts[1:], None]
    return [
        {
            word: line[start:end].strip()
            for word, start, end in zip(words, starts, ends, strict=True)
        }
        for line in lines
    ]


def test_the_table_of_runs_is_that_of_the_design(our_kinds: ControlPlane, namespace: str) -> None:
    add_run(our_kinds, namespace)
    (row,) = table(our_kinds.kubectl("get", "fleetrollouts", f"--namespace={namespace}"))
    assert row.pop("AGE").endswith("s")
    assert row == {
        "NAME": "checkout-14",
        "APP": "checkout",
        "REVISION": "6f9c2d",
        "PHASE": "Soaking",
        "WAVE": "2/3 eu",
        "UPDATED": "25/120",
        "FAILED": "0",
        "UNREACHABLE": "2",
        "TRAFFIC": "18%",
        "REASON": "soaking until 14:20:05Z",
    }


def test_the_wide_table_of_runs_adds_four_columns(our_kinds: ControlPlane, namespace: str) -> None:
    add_run(our_kinds, namespace)
    (row,) = table(our_kinds.kubectl("get", "fr", f"--namespace={namespace}", "-o", "wide"))
    assert list(row)[-4:] == ["STRATEGY", "STARTED", "NEXT-CHECK", "PREVIOUS"]
    assert (row["STRATEGY"], row["PREVIOUS"]) == ("Canary", "5b1a77")
    assert row["NEXT-CHECK"] == "2026-11-20T14:20:05Z"


def test_the_table_of_rollouts_is_that_of_the_reference(
    our_kinds: ControlPlane, namespace: str
) -> None:
    call(our_kinds, "POST", rollouts(namespace), two_steps())
    status = {"replicas": 6, "readyReplicas": 5, "phase": "Progressing", "currentWeight": 20}
    call(our_kinds, "PATCH", rollouts(namespace, "two-steps", sub="status"), {"status": status})
    (row,) = table(our_kinds.kubectl("get", "ro", f"--namespace={namespace}"))
    assert row.pop("AGE").endswith("s")
    assert row == {
        "NAME": "two-steps",
        "DESIRED": "5",
        "CURRENT": "6",
        "READY": "5",
        "PHASE": "Progressing",
        "WEIGHT": "20",
    }


@pytest.mark.parametrize(
    ("path", "status", "header"),
    [
        pytest.param(
            "membercluster.yaml",
            {"reachable": True, "kubernetesVersion": "v1.36.3", "engine": {"healthy": True}},
            "NAME REACHABLE KUBERNETES ENGINE ROLLOUTS SEEN AGE",
            id="members",
        ),
        pytest.param(
            "fleet.yaml",
            {"phase": "Ready", "members": 3, "reachable": 2},
            "NAME PHASE MEMBERS REACHABLE AGE",
            id="fleets",
        ),
        pytest.param(
            "application-canary.yaml",
            {"phase": "Ready", "clusters": "3/3", "run": "checkout-1"},
            "NAME FLEET PHASE CLUSTERS REVISION RUN AGE",
            id="applications",
        ),
    ],
)
def test_the_other_tables(
    our_kinds: ControlPlane, namespace: str, path: str, status: dict[str, Any], header: str
) -> None:
    file = VALID / path
    our_kinds.kubectl("apply", f"--namespace={namespace}", "-f", str(file))
    where = (f"--namespace={namespace}", "-f", str(file))
    patch = f"--patch={json.dumps({'status': status})}"
    our_kinds.kubectl("patch", *where, "--subresource=status", "--type=merge", patch)
    said = our_kinds.kubectl("get", *where)
    assert said.splitlines()[0].split() == header.split()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("rollout.spec.strategy.canary.steps.setWeight", "Percent of the traffic"),
        ("rollout.spec.strategy.canary.steps.pause", "lasts until `kulta.io/promote`"),
        ("rollout.spec.scaleDownDelay", "How long the old revision's pods stay"),
        ("rollout.spec.template.spec.containers", "<[]Object>"),
        ("rollout.status.stablePodHash", "has proved itself"),
        ("fapp.spec.deliveryPolicy.waves", "none means one wave, one cluster at a time"),
        ("fapp.spec.deliveryPolicy.waves.maxConcurrency", "at least 1; default 1"),
        ("fapp.spec.overrides", "What differs for some members"),
        ("fl.spec.members", "it would be an empty fleet"),
        ("mc.spec.allowedNamespaces", "none means none"),
        ("fr.status.message", "what the run waits for"),
        ("crl.status.engine", "as last seen"),
    ],
)
def test_fields_are_explained(our_kinds: ControlPlane, path: str, words: str) -> None:
    said = " ".join(our_kinds.kubectl("explain", path).split())
    assert words in said
