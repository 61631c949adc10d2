"""The examples as tests need them: good ones by path, bad ones by name, and what a server says.

The words of refusals that several kinds share stand here once; the tables are in
`test_rollout_refusals.py` and `test_hub_refusals.py`.
"""

from pathlib import Path

import pytest
import yaml

from e2e.ground.controlplane import ControlPlane, KubectlFailed

ROOT = Path(__file__).parent.parent
VALID = ROOT / "examples/valid"
INVALID = ROOT / "examples/invalid"
COMPAT = Path(__file__).parent / "data/compat"

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
    """What the server says to the manifest, line by line; it must refuse it."""
    with pytest.raises(KubectlFailed) as refused:
        plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    said = str(refused.value).split(" is invalid: ", 1)[-1]
    return [line.removeprefix("* ") for line in said.splitlines() if line]
