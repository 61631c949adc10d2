"""Every manifest that is shipped, shown to a real API server as a user would apply it.

Tried without keeping (server-side dry run, strict field validation), but for namespaces and the
rights of an engine that has one namespace alone, which are enough for it.
"""

from pathlib import Path

import pytest
import yaml

from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import ACCOUNT, Engine
from e2e.ground.subject import Subject
from tests.readme import ROOT
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


def test_an_engine_for_one_namespace_needs_nothing_beyond_it(
    our_kinds: ControlPlane, tmp_path: Path
) -> None:
    """With the rights as they are shipped; Rollouts of others are none of its business."""
    mine, other = (our_kinds.add_namespace(f"alone-{name}") for name in ("mine", "other"))
    text = (ROOT / "deploy" / "engine" / "namespaced" / "engine.yaml").read_text()
    rights = yaml.safe_load_all(text.replace("namespace: shop", f"namespace: {mine}"))
    our_kinds.apply(*(item for item in rights if item["kind"] != "Deployment"))
    webs = [
        Subject(
            plane=our_kinds,
            namespace=namespace,
            name="web",
            strategy={"simple": {}},
            spec={"replicas": 0},
        )
        for namespace in (mine, other)
    ]
    for web in webs:
        web.apply("app:v1")
    elected = {"KULTA_LEADER_ELECTION": "true"}
    with Engine(our_kinds, tmp_path, name="alone", only=mine, **elected) as running:
        webs[0].wait(phase="Completed")
        webs[0].apply("app:v2")
        webs[0].wait(phase="Completed", observedGeneration=2)
        assert running.stop() == 0
    assert webs[1].object.get("status", {}).get("phase") is None
    user = f"system:serviceaccount:{mine}:{ACCOUNT}"
    refused = our_kinds.audit.read(user=user, code=403)
    assert [(item.verb, item.uri) for item in refused] == []
