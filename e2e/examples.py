"""The examples as tests need them: good ones by path, bad ones by name, and what a server says.

The words of refusals that several kinds share stand here once; the tables are in
`test_rollout_refusals.py` and `test_hub_refusals.py`.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.ground.controlplane import ControlPlane, KubectlFailed
from fleet.api import names

ROOT = Path(__file__).parent.parent
VALID = ROOT / "examples/valid"
INVALID = ROOT / "examples/invalid"
COMPAT = Path(__file__).parent / "data/compat"

KINDS = {
    one.kind: one
    for one in (names.ROLLOUTS, names.APPLICATIONS, names.FLEETS, names.MEMBERCLUSTERS)
}
OLDER, STORED = "v1alpha1", "v1beta1"
"""The versions of Rollout."""
WHOLE = [
    pytest.param(
        "workload-beside-template",
        "spec.template: Invalid value: write template and selector, or workloadRef instead",
        id="a Deployment's template beside one's own",
    ),
    pytest.param(
        "x" * 64,
        "metadata.name: Invalid value: "
        "a Rollout's name becomes a label of its pods: at most 63 characters",
        id="a name that is too long for a label",
    ),
]
"""Rows of the table of bad Rollouts that are about no strategy, the last ones."""

DURATION = "write a whole number and one unit: 1s…86400s, 1m…1440m, 1h…168h or 1d…7d"
AMOUNT = "write a whole number from 0, or a percentage from 0% to 100%"
STEPS = "steps: each setWeight must be greater than the one before it, so 100 can only be the last"
NO_STEPS = (
    "a canary needs at least one step: "
    "steps: [{setWeight: 20, pause: {duration: 5m}}, {setWeight: 100}]"
)
EMPTY = "a selector cannot be empty: write matchLabels or matchExpressions"
URL = "write a URL: http://host:port or https://host:port"


def documents(kind: str) -> dict[str, str]:
    """The bad examples of a kind (its plural) by name, as they are written."""
    texts = (INVALID / f"{kind}.yaml").read_text().split("---\n")
    return {yaml.safe_load(text)["metadata"]["name"]: text for text in texts}


def refusal(plane: ControlPlane, text: str) -> list[str]:
    """What the server says to the manifest, cause by cause; it must refuse it.

    A request instead of kubectl, which takes ten times as long to print the same (`printed`).
    """
    manifest = yaml.safe_load(text)
    version, kind = manifest["apiVersion"], manifest["kind"]
    path = KINDS[kind].path("default").replace(KINDS[kind].api_version, version)
    wish = f"{path}?dryRun=All&fieldValidation=Strict"
    code, answer = plane.call("POST", wish, manifest)
    assert code == 422, answer
    return [f"{cause['field']}: {cause['message']}" for cause in answer["details"]["causes"]]


def printed(plane: ControlPlane, text: str) -> list[str]:
    """What a user of kubectl reads, line by line."""
    with pytest.raises(KubectlFailed) as refused:
        plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    said = str(refused.value).split(" is invalid: ", 1)[-1]
    return [line.removeprefix("* ") for line in said.splitlines() if line]


def read(path: Path) -> dict[str, Any]:
    """The manifest in a file."""
    manifest: dict[str, Any] = yaml.safe_load(path.read_text())
    return manifest


def rollouts(namespace: str, name: str = "", *, version: str = STORED, sub: str = "") -> str:
    """The path of the Rollouts of a namespace, or of one."""
    path = names.ROLLOUTS.path(namespace, name, sub)
    return path.replace(f"/{STORED}/", f"/{version}/")


def call(plane: ControlPlane, method: str, path: str, body: object = None) -> dict[str, Any]:
    """The answer of a request that must succeed."""
    code, answer = plane.call(method, path, body)
    assert code in (200, 201), answer
    found: dict[str, Any] = answer
    return found


def refused(plane: ControlPlane, method: str, path: str, body: object) -> str:
    """The message of a request that must be refused as invalid."""
    code, answer = plane.call(method, path, body)
    assert code == 422, answer
    return str(answer["message"])


def two_steps(**spec: Any) -> dict[str, Any]:
    """A small good Rollout, with other fields in its spec."""
    manifest = read(VALID / "rollout-two-steps.yaml")
    manifest["spec"] |= spec
    return manifest
