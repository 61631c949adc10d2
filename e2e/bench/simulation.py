"""Many members in one process, each behind an address of its own: `python -m e2e.bench.simulation`.

    hub ──TLS──> 127.77.0.1:port, 127.77.0.2:port … ──> one `Simulated` each
    bench ──HTTP──> 127.0.0.1:control ──> what they saw and when, how their engines and they behave

Started by `fleet` for the benchmark of the hub and by nobody else: real API servers prove what is
right, this shows what a thousand of them cost. One engine's Lease is renewed every five seconds.
"""

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import uvloop
from aiohttp import web

from e2e.bench.simulated import Refusal, Simulated, Watch, resource_of
from fleet.api.names import CRDS, ROLLOUTS

RENEW_SECONDS = 5.0
ENGINE_SECONDS = 0.05
"""Between a change and the verdict on it."""
BOOKMARK_SECONDS = 60.0
SLOW_SECONDS = 2.0
HOST = "simulated"
"""The name in the certificate of all of them."""
ROOT = Path(__file__).parents[2]
JSON = "application/json"
CRD = f"{ROLLOUTS.plural}.{ROLLOUTS.group}"
VERSION = orjson.dumps({"gitVersion": "v1.36.3"})


def address(index: int) -> str:
    """Where member `index` answers."""
    return f"127.77.{index // 250}.{index % 250 + 1}"


class Crowd:
    """All members, their engines and their moods."""

    def __init__(self, number: int) -> None:
        self.members = {address(i): Simulated(f"m-{i:04}") for i in range(number)}
        self.by_name = {member.name: member for member in self.members.values()}
        self.moods: dict[str, str] = {}
        """Member → `dead` (takes everything and answers nothing) or `slow`; others are well."""
        self.works = True
        """Whether engines complete what is put there."""
        definition = (ROOT / "crds" / "rollouts.yaml").read_bytes()
        self._texts = {"/version": VERSION, CRDS.path(name=CRD): definition, **_texts(definition)}
        """What all of them say of themselves."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request to one member."""
        assert request.transport is not None
        member = self.members[request.transport.get_extra_info("sockname")[0]]
        member.requests += 1
        mood = self.moods.get(member.name)
        if mood == "dead":
            await asyncio.Event().wait()
        if mood == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        try:
            return await self._answer(request, member)
        except Refusal as refusal:
            return web.Response(status=refusal.code, body=refusal.body(), content_type=JSON)

    async def live(self) -> None:
        """Renew all Leases, one after another, for ever."""
        for member in itertools.cycle(tuple(self.members.values())):
            if self.moods.get(member.name) != "dead":
                member.renew()
            await asyncio.sleep(RENEW_SECONDS / len(self.members))

    async def work(self) -> None:
        """Be all their engines, for ever."""
        before: list[tuple[Simulated, tuple[str, str]]] = []
        while True:
            await asyncio.sleep(ENGINE_SECONDS)
            if not self.works:
                continue
            for member, key in before:
                with contextlib.suppress(Refusal):
                    member.complete(key)
            before = [(one, key) for one in self.members.values() for key in one.fresh]

    async def _answer(self, request: web.BaseRequest, member: Simulated) -> web.StreamResponse:
        if text := self._texts.get(request.path):
            return web.Response(body=text, content_type=JSON)
        parts = request.path.strip("/").split("/")
        if parts == ["api", "v1", "namespaces", "kube-system"]:
            return _json({"metadata": {"name": "kube-system", "uid": f"uid-of-{member.name}"}})
        rest = parts[2 if parts[0] == "api" else 3 :]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        plural = resource_of(rest[0]).plural
        if len(rest) == 1 and request.method == "GET":
            return await self._collection(request, member, plural, namespace)
        body = await request.read()
        given = orjson.loads(body) if body else {}
        if len(rest) == 1:
            return _json(member.create(plural, namespace, given), 201)
        return self._object(request, member, plural, (namespace, rest[1]), given)

    def _object(
        self,
        request: web.BaseRequest,
        member: Simulated,
        plural: str,
        key: tuple[str, str],
        given: Mapping[str, Any],
    ) -> web.Response:
        match request.method:
            case "GET":
                return _json(member.find(plural, key))
            case "PUT":
                return _json(member.replace(plural, key, given))
            case "DELETE":
                member.delete(plural, key, given)
                return _json({"kind": "Status", "status": "Success"})
        if request.content_type.startswith("application/apply"):
            manager = request.query.get("fieldManager", "")
            return _json(member.apply(plural, key, given, manager))
        return _json(member.patch(plural, key, given))

    async def _collection(
        self, request: web.BaseRequest, member: Simulated, plural: str, namespace: str
    ) -> web.StreamResponse:
        query = request.query
        name = query.get("fieldSelector", "").partition("metadata.name=")[2]
        if query.get("watch") != "true":
            return _json(member.listed(plural, namespace, name))
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        watch = Watch(plural, namespace, name)
        member.open(watch, int(query.get("resourceVersion") or 0))
        try:
            async with asyncio.timeout(float(query.get("timeoutSeconds", "300"))):
                await _send(response, member, watch)
        except (TimeoutError, ConnectionError):
            return response  # its time is over, or whoever watched is gone
        finally:
            member.watches.remove(watch)
        return response


async def _send(response: web.StreamResponse, member: Simulated, watch: Watch) -> None:
    while True:
        try:
            line = await asyncio.wait_for(watch.lines.get(), BOOKMARK_SECONDS)
        except TimeoutError:
            line = member.bookmark(watch.plural)
        if line is None:
            return
        await response.write(line)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type=JSON)


class Control:
    """What the benchmark asks and orders, over plain HTTP."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        given = orjson.loads(body) if body else {}
        match request.path:
            case "/moments":
                mark = (given["application"], given["image"])
                return _json({name: _moments(one, mark) for name, one in self._named()})
            case "/requests":
                return _json({name: one.requests for name, one in self._named()})
        self._order(request.path, given)
        return _json({"members": len(self._crowd.members)})

    def _order(self, path: str, given: dict[str, Any]) -> None:
        match path:
            case "/moods":
                self._crowd.moods = given
            case "/engines":
                self._crowd.works = given["work"]
            case "/complete":
                key = (given["namespace"], given["application"])
                self._crowd.by_name[given["member"]].complete(key)
            case "/fail":
                self._fail(given)
            case "/plant":
                for name, objects in given.items():
                    self._crowd.by_name[name].plant(objects)

    def _named(self) -> list[tuple[str, Simulated]]:
        return list(self._crowd.by_name.items())

    def _fail(self, given: Mapping[str, Any]) -> None:
        decision = {
            "sequence": 1,
            "timestamp": "2026-01-01T00:00:00Z",
            "action": "Rollback",
            "reason": "AnalysisFailed",
            "message": "error-rate 37.5 is not below 5",
        }
        key = (given["namespace"], given["application"])
        self._crowd.by_name[given["member"]].report(key, "Failed", decisions=[decision])


def _texts(definition: bytes) -> dict[str, bytes]:
    """What `/openapi/v3` and the text of Rollouts below it say, as large as real ones: fifty groups
    and versions have their digests there."""
    version = next(
        one
        for one in orjson.loads(definition)["spec"]["versions"]
        if one["name"] == ROLLOUTS.version
    )
    kind = {"group": ROLLOUTS.group, "kind": ROLLOUTS.kind, "version": ROLLOUTS.version}
    rollout = version["schema"]["openAPIV3Schema"] | {"x-kubernetes-group-version-kind": [kind]}
    text = orjson.dumps({"openapi": "3.0.0", "components": {"schemas": {"Rollout": rollout}}})
    ours = f"apis/{ROLLOUTS.api_version}"
    others = {f"apis/group-{number}.k8s.io/v1": str(number).encode() for number in range(49)}
    paths = {
        path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_digest(body)}"}
        for path, body in (others | {ours: text}).items()
    }
    return {"/openapi/v3": orjson.dumps({"paths": paths}), f"/openapi/v3/{ours}": text}


def _digest(text: bytes) -> str:
    return hashlib.sha512(text).hexdigest().upper()


def _moments(member: Simulated, mark: tuple[str, str]) -> dict[str, float]:
    found = {"put": member.put_at, "told": member.told_at, "held": member.held_at}
    return {name: times[mark] for name, times in found.items() if mark in times}


async def serve(number: int, port: int, control: int, chain: Path, key: Path) -> None:
    """All members, until killed."""
    crowd = Crowd(number)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    loop = asyncio.get_running_loop()
    members = web.Server(crowd.handle, keepalive_timeout=120)
    for host in crowd.members:
        await loop.create_server(members, host, port, ssl=context, backlog=64)
    await loop.create_server(web.Server(Control(crowd).handle), "127.0.0.1", control)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.live())
        tasks.create_task(crowd.work())


def main() -> None:
    """Parse the arguments and serve."""
    options = argparse.ArgumentParser(description=__doc__)
    for name in ("members", "port", "control"):
        options.add_argument(f"--{name}", type=int, required=True)
    for name in ("chain", "key"):
        options.add_argument(f"--{name}", type=Path, required=True)
    given = options.parse_args()
    uvloop.install()
    asyncio.run(serve(given.members, given.port, given.control, given.chain, given.key))


if __name__ == "__main__":
    main()
