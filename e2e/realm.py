"""A fleet whose engines are real: one hub, a site with pods and traffic, two members for crashes.

Used by the tests of compatibility, silence and recovery, which share one realm to save time; each
has a namespace of its own. In `site` the hub keeps the engine as a pod; in `east` and `west` the
engine is a process that a test can kill, and kwok plays the pods.
"""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.ground import addresses, background, engine
from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.engine import Engine
from e2e.ground.flags import AuditPolicy
from e2e.ground.hub import Hub
from e2e.ground.images import Images
from e2e.ground.loadgen import LoadGenerator
from e2e.ground.prometheus import Prometheus
from e2e.ground.proxy import Proxy
from e2e.ground.site import Site
from e2e.ground.waiting import until
from e2e.tenancy import Tenant, World
from fleet.api.names import APPLICATIONS, FLEETS

SPACES = ("quiet", "recovery", "cut", "bluegreen", "removal")
BODIES = AuditPolicy(bodies=("rollouts.kulta.io", "replicasets.apps"))
ADDRESS = "http://prometheus.monitoring:9090"
"""The site's Prometheus, by the name that the reference's manifests use."""
PORT = 9090
ENOUGH = 15
"""Answers after which it is clear who gives them."""
META = "__meta_kubernetes_pod_label_rollouts_kulta_io"
RELABEL: list[dict[str, Any]] = [
    {"source_labels": [f"{META}_rollout"], "regex": ".+", "action": "keep"},
    {
        "source_labels": ["__address__"],
        "regex": r"(.+?)(:\d+)?",
        "replacement": "$1:8080",
        "target_label": "__address__",
    },
    {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
    {"source_labels": [f"{META}_rollout"], "target_label": "rollout"},
    {"source_labels": [f"{META}_hash"], "target_label": "revision"},
]
"""Every pod of a Rollout is scraped: the reference's manifests have no annotations that ask."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member with its own engine; `engine` is None where the hub keeps it."""

    plane: ControlPlane
    engine: Engine | None = None


@dataclass(frozen=True, kw_only=True)
class Realm:
    """Everything that runs."""

    plane: ControlPlane
    """The hub's."""
    hub: Hub
    site: Site
    members: Mapping[str, Member]

    def tenant(self, namespace: str, *names: str, **servers: str) -> Tenant:
        """Register these members there, with a Fleet of them, and wait until they are believed.

        `servers` are other ways to a member, e.g. through a proxy.
        """
        chosen = {name: self.members[name] for name in names}
        # Their engines are real: what a tenant's tests ask of these is their plane alone.
        acting: dict[str, Any] = dict(chosen)
        world = World(plane=self.plane, hub=self.hub, puppets=acting)
        found = Tenant(world=world, namespace=namespace, servers=servers)
        for name, member in chosen.items():
            mode = "External" if member.engine else "Managed"
            text = members.kubeconfig(member.plane, server=servers.get(name))
            found.register(name, text, engine={"mode": mode}, prometheus={"address": ADDRESS})
        found.put(FLEETS, {"metadata": {"name": "all"}, "spec": {"members": {"names": [*names]}}})
        for name in names:
            found.await_condition(name, "EngineHealthy", "True", within=60)
        return found


def application(
    name: str, image: str, strategy: Mapping[str, Any], **policy: Any
) -> dict[str, Any]:
    """An Application of that name for the Fleet of its tenant, with a Service."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": image, "readinessProbe": probe}
    return {
        "metadata": {"name": name},
        "spec": {
            "destination": {"fleet": "all"},
            "workload": {
                "replicas": 2,
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
                },
                "service": {"port": 80, "targetPort": 8080},
            },
            "deliveryPolicy": {"strategy": dict(strategy), **policy},
        },
    }


def routed(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same behind the site's Gateway, as `<name>.example.com`."""
    host = f"{manifest['metadata']['name']}.example.com"
    parents = [{"name": "public", "namespace": "gateways"}]
    manifest["spec"]["workload"]["route"] = {"parentRefs": parents, "hostnames": [host]}
    return manifest


def deliver(tenant: Tenant, *applications: Mapping[str, Any]) -> None:
    """Create or change them."""
    for manifest in applications:
        tenant.put(APPLICATIONS, manifest)


@contextmanager
def sending(*generators: LoadGenerator) -> Iterator[None]:
    """Load while the context is open."""
    loop = background.Loop()
    threads = [threading.Thread(target=loop.call, args=(one.run(),)) for one in generators]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for one in generators:
            one.stop()
        for thread in threads:
            thread.join()
        loop.close()


def all_from(version: str, *clients: LoadGenerator) -> None:
    """Wait until the last answers of each of these clients come from that version."""

    def there() -> bool:
        last = [item.version for one in clients for item in one.answers[-ENOUGH:]]
        return len(last) == ENOUGH * len(clients) and set(last) == {version}

    until(there, f"{version} answers everybody", within=30)


@contextmanager
def running(folder: Path, images: Images) -> Iterator[Realm]:
    """Start everything side by side; what was started ends with the context."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        site = pool.submit(_site, stack, folder / "site", images)
        sides = {name: pool.submit(_side, stack, name, folder) for name in ("east", "west")}
        hub = pool.submit(_hub, stack, folder)
        found = {name: side.result() for name, side in sides.items()}
        found["site"] = Member(plane=site.result().plane)
        plane, process = hub.result()
        realm = Realm(plane=plane, hub=process, site=site.result(), members=found)
        realm.tenant("quiet", "site")
        yield realm


def _site(stack: ExitStack, folder: Path, images: Images) -> Site:
    site = Site("site", folder, images=images)
    relabel = folder / "relabel.yaml"
    relabel.write_text(yaml.safe_dump({"relabel_configs": RELABEL}))
    site.prometheus = Prometheus(folder / "prometheus", relabel=relabel)
    stack.enter_context(background.running(site))
    block = addresses.Block()
    stack.callback(block.close)
    host = site.hosts["prometheus.monitoring"] = addresses.served(block.take())
    port = int(site.prometheus.url.rpartition(":")[2])
    stack.enter_context(background.running(Proxy(port, at=(host, PORT))))
    members.prepare(site.plane, *SPACES)
    engine.grant(site.plane)
    return site


def _side(stack: ExitStack, name: str, folder: Path) -> Member:
    options = Options(kwok_nodes=1, audit=BODIES)
    plane = stack.enter_context(ControlPlane(name, folder / name, options))
    members.prepare(plane, *SPACES)
    engine.grant(plane)
    own = Engine(plane, folder / name, KULTA_LEADER_ELECTION="true")
    return Member(plane=plane, engine=stack.enter_context(own))


def _hub(stack: ExitStack, folder: Path) -> tuple[ControlPlane, Hub]:
    options = Options(scheduler=False, audit=BODIES)
    plane = stack.enter_context(ControlPlane("hub", folder / "hub", options))
    hubs.prepare(plane)
    for name in SPACES:
        plane.add_namespace(name)
    hub = Hub(plane, folder / "hub", KULTA_ENGINE_ENV="KULTA_ALLOW_LOOPBACK=true")
    return plane, stack.enter_context(hub)
