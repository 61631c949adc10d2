"""A hub at a desk: the real runtime over fake API servers, one key at a time.

`Desk` holds the hub's FakeKube and one FakeKube per member. Informers and kopf are played by `see`,
which copies what is stored into stores and informers. Queues only note what was asked of them.
"""

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from fleet.api.names import (
    CLUSTERROLLOUTS,
    CRDS,
    ENGINE_LEASE,
    ENGINE_NAMESPACE,
    LEASES,
    MEMBERCLUSTERS,
    NAMESPACES,
    SECRETS,
    ClusterName,
    Key,
    Resource,
)
from fleet.clusters.config import ClientConfig
from fleet.clusters.handles import Handle
from fleet.clusters.health import Breaker
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer
from fleet.errors import FleetError, NotFound
from fleet.hub.runtime import triggers, watches
from fleet.hub.runtime.context import Context, EngineWish
from fleet.hub.runtime.drafts import Drafts
from fleet.hub.runtime.hooks import Hooks
from fleet.hub.runtime.links import Link
from fleet.hub.runtime.renders import Renders
from fleet.hub.runtime.schemas import CRD
from fleet.ports import Printed
from fleet.rendering import printing
from fleet.rendering.environment import TemplateSet, environment
from fleet.telemetry.metrics import HubMetrics
from tests.fakes import FakeClock, FakeKube, Sent
from tests.hub import gen
from tests.hub.world import TEMPLATES

TENANT = "shop"
HUB = "hub-1"
VERSION = orjson.dumps({"gitVersion": "v1.36.3"})
PUBLISHED = "apis/kulta.io/v1beta1"


class Keys:
    """A work queue that notes what it is asked."""

    def __init__(self) -> None:
        self.added: list[Key] = []
        self.later: dict[Key, float] = {}
        self.retried: list[Key] = []
        self.forgotten: list[Key] = []
        self.first: list[Key] = []
        self.waiting: set[Key] = set()
        """Only what a test puts there."""

    def add(self, key: Key, *, first: bool = False) -> None:
        self.added.append(key)
        if first:
            self.first.append(key)

    def is_waiting(self, key: Key) -> bool:
        return key in self.waiting

    def is_pressed(self, key: Key) -> bool:
        return key in self.first

    def add_after(self, key: Key, seconds: float) -> None:
        self.later[key] = seconds

    def retry(self, key: Key, *, at_least: float = 0.0) -> float:
        self.retried.append(key)
        if at_least:
            self.later[key] = at_least
        return max(1.0, at_least)

    def forget(self, key: Key) -> None:
        self.forgotten.append(key)

    def queue(self, key: Key) -> "Keys":
        return self

    async def close(self, member: Key) -> None:
        """Nothing runs here."""

    def names(self) -> set[str]:
        """The names of the keys that were added."""
        return {key[1] for key in self.added}


class FakeMember(FakeKube):
    """A member's API server as its client shows it."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.name = name
        self.monotonic = clock.monotonic
        self.breaker = Breaker()
        self.last_failure: FleetError | None = None
        self.config: ClientConfig = config()
        self.tokens = 0
        self.skew = 0.0
        """By how many seconds its clock is behind ours."""
        self.texts: dict[str, bytes | FleetError] = {"/version": VERSION}
        """What it answers beside its objects."""

    async def request(self, method: str, path: str, *, retry: bool = False) -> bytes:
        answer = self.texts.get(path, NotFound(f"GET {path}"))
        if isinstance(answer, FleetError):
            raise answer
        return answer

    def publish(self, document: bytes, digest: str | None = None) -> None:
        """What it publishes of Rollouts; another digest than that of the text is a lie."""
        named = digest or hashlib.sha512(document).hexdigest().upper()
        where = {"serverRelativeURL": f"/openapi/v3/{PUBLISHED}?hash={named}"}
        self.texts["/openapi/v3"] = orjson.dumps({"paths": {PUBLISHED: where}})
        self.texts[f"/openapi/v3/{PUBLISHED}"] = document

    async def token_request(self, account: str, namespace: str, seconds: int) -> tuple[str, Any]:
        self._called("token", SECRETS, account, namespace)
        self.tokens += 1
        return jwt(issued=self._clock.now().timestamp() - self.skew, seconds=seconds), None


@dataclass
class Queues:
    """Stands in for `context.Queues`."""

    members: Keys = field(default_factory=Keys)
    fleets: Keys = field(default_factory=Keys)
    applications: Keys = field(default_factory=Keys)
    runs: Keys = field(default_factory=Keys)
    dispatches: Keys = field(default_factory=Keys)


@dataclass
class FakeGate:
    """Answers every hook the same; notes who was asked."""

    answer: tuple[int, str] | FleetError = (200, "")
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def ask(self, url: str, body: Mapping[str, Any], seconds: float) -> tuple[int, str]:
        self.asked.append((url, body))
        if isinstance(self.answer, FleetError):
            raise self.answer
        return self.answer


@dataclass
class FakePress:
    """Prints in this process; `outage` is what goes wrong, once."""

    outage: FleetError | None = None
    asked: list[str] = field(default_factory=list)
    """The tenants."""

    async def print(
        self, tenant: str, files: Mapping[str, str], names: Sequence[str], values: Any
    ) -> Printed:
        self.asked.append(tenant)
        await asyncio.sleep(0)
        if self.outage is not None:
            outage, self.outage = self.outage, None
            raise outage
        templates = TemplateSet.of(files)
        found = tuple(printing.printed(templates, names, values))
        return Printed(documents=found, names=environment(templates).names(tuple(names)))

    async def close(self) -> None:
        """Nothing is open."""


class FakeSupervisor:
    """Engages fake members; `engaged` is who is engaged now."""

    def __init__(self, desk: "Desk") -> None:
        self.engaged: dict[ClusterName, Handle] = {}
        self._desk = desk

    async def engage(
        self, name: ClusterName, target: ClientConfig, *, is_met: bool = True
    ) -> Handle:
        known = self.engaged.get(name)
        if known is not None and known.client.config.is_same_server(target):
            known.client.config = target
            return known
        namespace, _, cluster = name.partition("/")
        member = self._desk.member(cluster)
        member.config = target
        hub = self._desk.hub
        link = hub.links.make((namespace, cluster))
        listener = watches.Listener(
            rollout=lambda link, change: triggers.rollout_changed(hub, link, change),
            connectivity=lambda link: triggers.poke(hub, link),
            engine=lambda link: hub.queues.members.add(link.key),
        )
        made = watches.informers(link, member, listener)  # type: ignore[arg-type]
        informers = {informer.resource: informer for informer in made}
        handle = Handle(name=name, client=member, informers=informers)  # type: ignore[arg-type]
        self.engaged[name] = handle
        return handle

    async def disengage(self, name: ClusterName) -> None:
        self.engaged.pop(name, None)


class Desk:
    """One hub, its members, and the time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.kube = FakeKube(clock=self.clock)
        self.sent = Sent()
        self.gate = FakeGate()
        self.press = FakePress()
        self.members: dict[str, FakeMember] = {}
        self.queues = Queues()
        self.supervisor = FakeSupervisor(self)
        self.hub = Context(
            kube=self.kube,
            clock=self.clock,
            recorder=self.sent,
            metrics=HubMetrics(),
            renders=Renders(TEMPLATES, Drafts(self.press, TEMPLATES, HubMetrics())),
            engine=EngineWish(image="kulta-fleet:test", version="1.0.0"),
            supervisor=self.supervisor,  # type: ignore[arg-type]
            hooks=Hooks(self.gate, ["gate.example.com", "*.corp.example"], self.clock),
            identity=HUB,
            queues=self.queues,  # type: ignore[arg-type]
        )
        triggers.connect(self.hub)
        self._items: Informer[Any] = Informer(
            self.member("none"),  # type: ignore[arg-type]
            CLUSTERROLLOUTS,
            decode=gen.ClusterRollout.parse,
            on=self._item_changed,
        )
        self.hub.stores.items = self._items.store

    def member(self, name: str) -> FakeMember:
        """That member's API server; it is there whether it is registered or not."""
        if name not in self.members:
            made = self.members[name] = FakeMember(name, self.clock)
            made.seed(NAMESPACES, {"metadata": {"name": "kube-system", "uid": f"uid-of-{name}"}})
            made.seed(CRDS, {"metadata": {"name": CRD}})
        return self.members[name]

    def put(self, resource: Resource, model: Any) -> None:
        """Store an object on the hub and let the hub see it."""
        body = model if isinstance(model, Mapping) else model.manifest()
        body["metadata"]["namespace"] = TENANT
        self.kube.seed(resource, body)
        self.see(resource, body["metadata"]["name"])

    def see(self, resource: Resource, name: str) -> None:
        """What kopf or an informer does when the stored object changes."""
        found = self.kube.peek(resource, name, TENANT)
        stores = (*self.hub.stores.watched, self.hub.stores.items)
        store = next(one for one in stores if one.resource == resource)
        if found is not None:
            store.see(found)
        elif (TENANT, name) in store:
            store.end({"metadata": store[TENANT, name].metadata.manifest()})

    def register(self, name: str, text: str | None = None, **spec: Any) -> Key:
        """A MemberCluster with a good Secret (or this text), not reconciled yet."""
        self.secret(name, text if text is not None else kubeconfig(name))
        cluster = gen.cluster(name)
        body = cluster.manifest()
        body["metadata"]["creationTimestamp"] = self.clock.now().isoformat()
        body["spec"] |= spec
        self.put(MEMBERCLUSTERS, body)
        return (TENANT, name)

    def secret(self, name: str, text: str) -> None:
        """Write the Secret; the hub sees its new version."""
        data = {"kubeconfig": base64.b64encode(text.encode()).decode()}
        made = self.kube.seed(
            SECRETS, {"metadata": {"name": name, "namespace": TENANT}, "data": data}
        )
        self.hub.stores.secrets[TENANT, name] = made["metadata"]["resourceVersion"]

    def link(self, name: str) -> Link:
        found = self.hub.links.get((TENANT, name))
        assert found is not None
        return found

    def live(self, name: str) -> Link:
        """Let the member's watches have begun and its engine's Lease change."""
        link = self.link(name)
        assert link.handle is not None
        for informer in link.handle.informers.values():
            informer.synced.set()
            informer.last_byte = self.clock.monotonic()
        member = self.member(name)
        lease = {"metadata": {"name": ENGINE_LEASE, "namespace": ENGINE_NAMESPACE}}
        for holder in ("", "engine"):
            made = member.seed(LEASES, {**lease, "spec": {"holderIdentity": holder}})
            link.handle.informers[LEASES].store.see(made)
        triggers.poke(self.hub, link)
        return link

    def _item_changed(self, change: Change[Any]) -> None:
        triggers.item_changed(self.hub, change)


def config(server: str = "https://member", token: str = "secret") -> ClientConfig:
    return ClientConfig(server=server, token=token)


def kubeconfig(name: str, token: str | None = None) -> str:
    """A kubeconfig text for a server of that name."""
    return yaml.safe_dump(
        {
            "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443"}}],
            "users": [{"name": name, "user": {"token": token or "opaque"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


def jwt(
    *,
    issued: float,
    seconds: float = 604_800,
    subject: str = "system:serviceaccount:kulta-system:kulta-fleet-hub",
) -> str:
    """A token that says so; its signature is nobody's business here."""
    claims = {"sub": subject, "iat": int(issued), "exp": int(issued + seconds)}
    parts = ({"alg": "none"}, claims, {})
    return ".".join(
        base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=") for part in parts
    )
