"""An administrator's shell for the tests of `fleet cluster`: commands in, words and exit codes out.

Commands run as the entry point runs them, in this process, because starting Python takes longer
than most of them. No credential may ever be said: every word of every command is looked at.
"""

import base64
import contextlib
import io
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from e2e.ground.controlplane import ControlPlane
from fleet.api import names
from fleet.cli.main import main

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def lines(self, verb: str) -> list[str]:
        """The objects that it says it has created, changed or left unchanged."""
        rows = (line.split(maxsplit=1) for line in self.out.splitlines() if line.startswith("  "))
        return [what.partition(",")[0] for said, what in rows if said == verb]


@dataclass(frozen=True, kw_only=True)
class Console:
    """An administrator's shell: one namespace of the hub, the member's kubeconfig at hand."""

    hub: ControlPlane
    member: ControlPlane
    namespace: str
    folder: Path

    def fleet(self, *words: str, hub: ControlPlane | None = None) -> Said:
        """`fleet cluster …` in this namespace, as the entry point runs it."""
        where = ("-n", self.namespace, "--hub-kubeconfig", str((hub or self.hub).kubeconfig))
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["fleet", "cluster", *words, *where]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        said = Said(code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())
        secrets = ("eyJ", *self.hub.tokens.values(), *self.member.tokens.values())
        assert not [item for item in secrets if item in said.out + said.err]
        return said

    def add(self, name: str, *words: str) -> Said:
        """`fleet cluster add`, as the member's administrator; it must succeed."""
        said = self.fleet("add", name, "--kubeconfig", str(self.member.kubeconfig), *words)
        assert said.code == 0, said.err
        return said

    def get(self, resource: names.Resource, name: str) -> dict[str, Any]:
        """An object of the hub."""
        code, found = self.hub.call("GET", resource.path(self.namespace, name))
        assert code == 200, found
        return dict(found)

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig that was written for the hub."""
        data = self.get(names.SECRETS, name)["data"]["kubeconfig"]
        path = self.folder / f"{name}.kubeconfig"
        path.write_bytes(base64.b64decode(data))
        return path

    def may(self, name: str, *questions: dict[str, str]) -> list[bool]:
        """The member's answers to access reviews, asked with the hub's kubeconfig."""
        reviews = [
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": question},
            }
            for question in questions
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
        use = f"--kubeconfig={self.kubeconfig(name)}"
        said = self.member.kubectl("create", "-f", "-", "-o", "json", use, stdin=text)
        return [item["status"].get("allowed", False) for item in documents(said)]

    @contextlib.contextmanager
    def nothing_written(self) -> Iterator[None]:
        """No write in hub or member; trying one (dry run) writes nothing."""
        marks = [(plane, plane.audit.mark()) for plane in (self.hub, self.member)]
        yield
        assert [written(plane, mark) for plane, mark in marks] == [[], []]


def documents(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects one after the other, as kubectl prints what it has created."""
    while text := text.lstrip():
        found, end = json.JSONDecoder().raw_decode(text)
        text = text[end:]
        yield found


def written(plane: ControlPlane, since: int) -> list[str]:
    """What the administrator wrote, as `verb resource namespace/name`."""
    return [
        f"{item.verb} {item.resource} {item.namespace}/{item.name}"
        for item in plane.audit.read(since=since, user="admin", writes=True)
        if "dryRun" not in item.uri and "selfsubject" not in item.resource
    ]


def opened(newcomers: tuple[ControlPlane, ControlPlane], folder: Path) -> Console:
    """A shell with a namespace of its own in the hub; hub and member are shared."""
    hub, member = newcomers
    namespace = hub.add_namespace(f"admin-{next(_numbers)}")
    return Console(hub=hub, member=member, namespace=namespace, folder=folder)
