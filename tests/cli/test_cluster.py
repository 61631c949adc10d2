"""`fleet cluster …` beside a hub that never stands still."""

from collections.abc import Mapping
from typing import Any, Self

import pytest

from fleet import errors
from fleet.api import names
from tests.shell import fleet


class Hub:
    """Writes the status of its one member each time after somebody has looked."""

    namespace = "shop"

    def __init__(self) -> None:
        self.version = 1
        self.patches: list[Mapping[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def find(self, resource: names.Resource, name: str, namespace: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": namespace, "resourceVersion": str(self.version)}
        self.version += 1
        return {"metadata": metadata, "spec": {"engine": {"mode": "Managed"}}}

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        version = body.get("metadata", {}).get("resourceVersion", str(self.version))
        if version != str(self.version):
            raise errors.Conflict("the object has been modified")
        self.patches.append(body)


@pytest.mark.parametrize(
    ("words", "image"),
    [
        pytest.param(("--image", "kulta-fleet:0.2.0"), "kulta-fleet:0.2.0", id="an image"),
        pytest.param((), None, id="the hub's choice"),
    ],
)
def test_an_upgrade_is_written_between_two_reports(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], image: str | None
) -> None:
    hub = Hub()
    monkeypatch.setattr("fleet.cli.access.connect", lambda *_, **__: hub)
    done = fleet("cluster", "upgrade", "eu-7", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert hub.patches == [{"spec": {"engine": {"image": image}}}]


class Tenants(Hub):
    """A hub with a member in each of two namespaces, or with none at all."""

    server = "https://hub.example.com"

    def __init__(self, *namespaces: str) -> None:
        super().__init__()
        self.namespaces = namespaces

    def list(self, _: names.Resource, namespace: str | None) -> list[dict[str, Any]]:
        created = "2026-11-20T12:00:00Z"
        return [
            {
                "metadata": {"name": "eu-7", "namespace": one, "creationTimestamp": created},
                "spec": {},
            }
            for one in self.namespaces
            if namespace in (None, one)
        ]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        pytest.param((), [["NAME"], ["eu-7"]], id="of one namespace"),
        pytest.param(
            ("-A",), [["NAMESPACE", "NAME"], ["shop", "eu-7"], ["team", "eu-7"]], id="of all"
        ),
    ],
)
def test_members_are_listed_of_one_namespace_or_of_all(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], shown: list[list[str]]
) -> None:
    monkeypatch.setattr("fleet.cli.access.connect", lambda *_, **__: Tenants("shop", "team"))
    done = fleet("cluster", "list", *words)
    assert [line.split()[: len(shown[0])] for line in done.stdout.splitlines()] == shown


@pytest.mark.parametrize(
    ("words", "where"),
    [
        pytest.param((), "namespace shop", id="in one namespace"),
        pytest.param(("-A",), "any namespace", id="anywhere"),
    ],
)
def test_where_there_is_no_member_is_said(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], where: str
) -> None:
    monkeypatch.setattr("fleet.cli.access.connect", lambda *_, **__: Tenants())
    done = fleet("cluster", "list", *words)
    assert done.stderr == f"no members in {where} of {Tenants.server}: fleet cluster add NAME\n"
