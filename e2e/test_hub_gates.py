"""Gates between waves and the way back, by the real hub on three real members.

An approval that is bound to what was seen, a hook that is asked over real HTTP, and a rollback of
the whole fleet while the hub is killed.
"""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e.ground.member import image_of
from e2e.ground.waiting import until
from e2e.tenancy import NAME, Tenant, World
from fleet.api.names import FLEETROLLOUTS, REQUEST_ANNOTATION, REQUESTED_BY_ANNOTATION


@dataclass
class Gate:
    """An HTTP gate that says no until it is opened."""

    url: str = ""
    is_open: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append(json.loads(body))
            self.send_response(204 if made.is_open else 403)
            self.end_headers()
            if not made.is_open:
                self.wfile.write(b"freeze")

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://localhost:{server.server_port}/ok"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


def ask(tenant: Tenant, number: int, text: str) -> None:
    """Jane writes the request on that run."""
    notes = {REQUEST_ANNOTATION: text, REQUESTED_BY_ANNOTATION: "jane"}
    path = FLEETROLLOUTS.path(tenant.namespace, f"{NAME}-{number}")
    code, answer = tenant.world.plane.call("PATCH", path, {"metadata": {"annotations": notes}})
    assert code == 200, answer


def told(tenant: Tenant, number: int, words: str) -> str:
    """The entry of the run's history that has these words."""

    def found() -> str | None:
        entries = tenant.run(number).get("history", ())
        return next((one["message"] for one in entries if words in one["message"]), None)

    return until(found, words, within=10)


def images(tenant: Tenant) -> dict[str, str]:
    """What each member's Rollout asks for."""
    found = {name: one.rollout(tenant.namespace, NAME) for name, one in tenant.puppets.items()}
    return {name: image_of(one) for name, one in found.items() if one is not None}


def test_a_wave_waits_for_a_person_and_a_hook_and_the_fleet_goes_back(
    tenant: Tenant, gate: Gate
) -> None:
    first = {"name": "canary", "clusters": ["west"], "after": [{"approval": {}}]}
    rest = {
        "name": "rest",
        "remaining": True,
        "maxConcurrency": 2,
        "before": [{"hook": {"url": gate.url, "timeout": "2s"}}],
    }
    tenant.deliver("app:v1", maxConcurrency=3)
    tenant.complete("app:v1")
    tenant.await_phase(1, "Succeeded")
    tenant.deliver("app:v2", waves=[first, rest])
    tenant.complete("app:v2", "west")

    waiting = tenant.await_phase(2, "AwaitingApproval")
    digest = waiting["planDigest"]
    assert waiting["unblock"] == f"the request approve/<id>/canary:{digest}"
    ask(tenant, 2, "approve/1/canary:00000000")
    assert told(tenant, 2, "the approval is for plan 00000000").endswith(f"canary:{digest}")
    assert tenant.run(2)["phase"] == "AwaitingApproval"
    ask(tenant, 2, f"approve/2/canary:{digest}")
    told(tenant, 2, f"wave canary is approved, plan {digest} by jane")

    # The hook says no: the hub says so. A new hub asks again at once, and then the answer is yes.
    until(lambda: "it answered 403: freeze" in tenant.run(2)["message"], "a no is told", within=10)
    assert gate.asked[0]["run"] == f"{NAME}-2"
    assert {images(tenant)[name] for name in ("east", "north")} == {"app:v1"}
    gate.is_open = True
    tenant.world.hub.kill()
    tenant.world.hub.start()
    tenant.complete("app:v2", "east", "north")
    tenant.await_phase(2, "Succeeded", within=30)

    the_way_back(tenant)


def the_way_back(tenant: Tenant) -> None:
    """A person takes it back, after the end; the hub is killed on the way."""
    ask(tenant, 2, "rollback/3")
    tenant.await_phase(2, "RollingBack")
    tenant.puppets["north"].await_image(tenant.namespace, NAME, "app:v1")
    assert images(tenant)["west"] == "app:v2", "the last wave goes first"
    tenant.world.hub.kill()
    tenant.world.hub.start()
    tenant.complete("app:v1", "north", "east", "west")
    status = tenant.await_phase(2, "RolledBack", within=30)
    assert status["message"] == "3 of 3 clusters are back (asked for by jane)"
    assert set(images(tenant).values()) == {"app:v1"}
    for name in tenant.puppets:
        assert tenant.dispatches(name) == [1, 2, 3], "nothing is sent twice"
