"""Every template against its golden files: `<case>.input.yaml` → `<case>.output.yaml`.

An input names an Application's spec and a member; the output is all that the member receives, or
the sentence that refuses it. Also: the table of variables in templates/README.md is the context.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.api import Fleet, MemberCluster
from fleet.api.application import ApplicationSpec
from fleet.api.fleetrollout import Snapshot
from fleet.errors import UserError
from fleet.kit import documents
from fleet.rendering import context, render
from fleet.rendering.delivery import Delivery
from fleet.rendering.environment import read
from tests.conftest import Golden
from tests.hub import gen

FOLDER = Path(__file__).parent / "golden" / "templates"
TEMPLATES = Path(__file__).parents[1] / "templates"
INPUTS = sorted(FOLDER.glob("*.input.yaml"))


def delivery(path: Path) -> Delivery:
    body = documents.one(path.read_text())
    spec = ApplicationSpec.model_validate(body["application"], extra="forbid")
    cluster = {"kubeconfig": {"secretRef": {"name": "eu-7"}}, **body.get("cluster", {})}
    labels = {"region": "eu", **body.get("labels", {})}
    return gen.delivery(
        Snapshot(name="checkout", spec=spec),
        MemberCluster.parse({"metadata": {"name": "eu-7", "labels": labels}, "spec": cluster}),
        Fleet.parse(
            {
                "metadata": {"name": "production"},
                "spec": {"members": {"names": ["eu-7"]}, **body.get("fleet", {})},
            }
        ),
        "6f9c2d81aa",
    )


@pytest.mark.parametrize("path", INPUTS, ids=[path.stem.removesuffix(".input") for path in INPUTS])
def test_what_a_member_receives(path: Path, golden: Golden) -> None:
    try:
        items = render.render(read(TEMPLATES), delivery(path))
        text = yaml.safe_dump_all([dict(item.manifest) for item in items], sort_keys=False)
    except UserError as error:
        text = f"{error.reason}: {error}\n"
    golden.check(path.with_name(path.name.replace(".input.", ".output.")), text)


def test_the_engine(golden: Golden) -> None:
    cluster = MemberCluster.parse(
        {
            "metadata": {"name": "eu-7", "namespace": "shop"},
            "spec": {"kubeconfig": {"secretRef": {"name": "eu-7"}}},
        }
    )
    setup = render.EngineSetup(
        image="registry.example.com/kulta-fleet:1.2.3",
        version="1.2.3",
        hub="9b1c2a7e-hub",
        prometheus="http://prometheus.monitoring:9090",
        environment={"KULTA_LOG_LEVEL": "debug"},
    )
    manifest = render.engine(read(TEMPLATES), cluster, setup).manifest
    golden.check(FOLDER / "engine.output.yaml", yaml.safe_dump(manifest, sort_keys=False))


def paths(value: Any, prefix: str = "") -> set[str]:
    """`application.service.port`, … of a context; maps of the user's own keys are one entry."""
    own = ("labels", "vars", "template", "selector", "analysis", "route", "others", "conduct")
    if not isinstance(value, dict) or prefix.rpartition(".")[2] in own:
        return {prefix}
    return {
        path
        for key, item in value.items()
        for path in paths(item, f"{prefix}.{key}" if prefix else key)
    }


def test_the_readme_lists_every_variable() -> None:
    given = delivery(FOLDER / "canary-without-route.input.yaml")
    found = context.context(given, given.application.spec)
    readme = (TEMPLATES / "README.md").read_text()
    rows = readme.partition("## Variables")[2]
    table = set(re.findall(r"^\| `([a-z][\w.]*)` \|", rows, re.MULTILINE))
    assert {name for name in table if not name.startswith("engine.")} == paths(found)


def test_templates_without_a_folder_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no templates"):
        read(tmp_path)
