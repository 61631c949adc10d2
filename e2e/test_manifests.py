"""Every manifest that is shipped, shown to a real API server as a user would apply it.

Tried without keeping (server-side dry run, strict field validation); only namespaces are made.
"""

from pathlib import Path

import pytest

from e2e.ground.controlplane import ControlPlane
from tests.test_deploy import FILES, documents, named

NAMESPACES = sorted(
    {
        item["metadata"]["namespace"]
        for path in FILES
        for item in documents(path)
        if "namespace" in item["metadata"]
    }
    - {"ALLOWED_NAMESPACE"}
)


@pytest.fixture(scope="module")
def cluster(our_kinds: ControlPlane) -> ControlPlane:
    """The shared plane with the namespaces that the manifests name."""
    for name in NAMESPACES:
        our_kinds.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return our_kinds


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_real_api_server_takes_it(cluster: ControlPlane, path: Path) -> None:
    text = path.read_text().replace("ALLOWED_NAMESPACE", "default")
    said = cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert len(said.splitlines()) == len(documents(path))
    assert "Warning" not in said
