"""The mistakes of `test_bad_input`: each function makes one, on the ground that `mistakes` lays.

What they return is called with the ground and a stack that ends what the mistake needs, and answers
with the words that the user reads.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from e2e import mistakes
from e2e.ground.subject import service
from e2e.ground.waiting import until
from e2e.mistakes import OPEN, Ground, application, rollout
from fleet.api import names

Words = Callable[[Ground, ExitStack], str]


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def server(*operations: dict[str, Any]) -> Words:
    """`kubectl apply` of an Application."""
    return lambda ground, _: ground.server(application("shop", *operations))


def render(*operations: dict[str, Any]) -> Words:
    """`fleet render` of an Application."""
    return lambda ground, _: ground.render(application("shop", *operations))


def told(name: str, *operations: dict[str, Any], first: Any = ()) -> Words:
    """The hub's condition `Ready` of an Application, other objects written first."""

    def said(ground: Ground, _: ExitStack) -> str:
        ground.put(*first)
        manifest = application(name, *operations)
        return ground.condition(ground.hub, names.APPLICATIONS, manifest, "Ready")

    return said


def of_fleet(manifest: dict[str, Any]) -> Words:
    """The hub's condition `Ready` of a Fleet."""
    return lambda ground, _: ground.condition(ground.hub, names.FLEETS, manifest, "Ready")


def of_member(name: str, text: Callable[[Ground], str | None], **spec: Any) -> Words:
    """The hub's condition `Reachable` of a MemberCluster with that kubeconfig."""

    def said(ground: Ground, _: ExitStack) -> str:
        manifest = ground.registered(name, text(ground), **spec)
        return ground.condition(ground.hub, names.MEMBERCLUSTERS, manifest, "Reachable")

    return said


def user(**values: Any) -> Callable[[Ground], str]:
    return lambda ground: ground.kubeconfig(user=values)


def cluster(**values: Any) -> Callable[[Ground], str]:
    return lambda ground: ground.kubeconfig(cluster=values)


def foreign(ground: Ground) -> str:
    return ground.kubeconfig(cluster={"certificate-authority-data": ground.foreign_authority()})


def expired(ground: Ground) -> str:
    return ground.kubeconfig(user={"token": ground.expired_token()})


def powerless(ground: Ground) -> str:
    return ground.kubeconfig(user={"token": ground.powerless()})


def in_the_way(name: str, *objects: dict[str, Any], ask: Any = Ground.cluster) -> Words:
    """What becomes of an Application when these objects are in the member already."""

    def said(ground: Ground, _: ExitStack) -> str:
        ground.member.apply(*objects)
        parents = [{"name": "public", "namespace": "gateways"}]
        found: str = ask(
            ground, application(name, add("/spec/workload/route", {"parentRefs": parents}))
        )
        return found

    return said


def engine(name: str, *objects: dict[str, Any], kind: str = "TrafficReady", **canary: Any) -> Words:
    """The engine's condition of a Rollout, these objects written first."""

    def said(ground: Ground, _: ExitStack) -> str:
        if objects:
            ground.member.apply(*objects)
        operations = [add(f"/spec/strategy/canary/{key}", value) for key, value in canary.items()]
        return ground.condition(ground.member, names.ROLLOUTS, rollout(name, *operations), kind)

    return said


def services(name: str) -> list[dict[str, Any]]:
    """Both Services of a canary."""
    return [service(OPEN, f"{name}-{role}", name, role) for role in ("stable", "canary")]


def routed(name: str) -> dict[str, Any]:
    return {"gatewayAPI": {"httpRoute": name}}


def taken(ground: Ground, _: ExitStack) -> str:
    """A second Rollout names the stable Service of a first."""
    ground.member.apply(*services("owner"), rollout("owner"))
    path = names.SERVICES.path(OPEN, "owner-stable")

    def is_managed() -> bool:
        selector = ground.member.call("GET", path)[1]["spec"]["selector"]
        return bool(selector.get(names.ROLLOUT_LABEL) == "owner")

    until(is_managed, "the first has its Service", within=20)
    second = rollout("thief", add("/spec/strategy/canary/stableService", "owner-stable"))
    return ground.condition(ground.member, names.ROLLOUTS, second, "TrafficReady")


def prometheus(name: str, body: str | None, status: int = 200) -> Words:
    """The engine's condition `MetricsAvailable`; no body means that nobody answers."""

    def said(ground: Ground, stack: ExitStack) -> str:
        url = "http://127.0.0.1:1"
        if body is not None:
            url = stack.enter_context(mistakes.answering(body, status))
        analysis = {
            "warmupDuration": "1s",
            "prometheus": {"address": url},
            "metrics": [{"name": "error-rate", "threshold": 5, "interval": "1s"}],
        }
        words = engine(name, kind="MetricsAvailable", analysis=analysis)(ground, stack)
        return words.replace(url, "{prometheus}")

    return said


def template(ground: Ground, _: ExitStack) -> str:
    """A template of one's own, with a typing error in its second line."""
    folder = ground.folder / "templates"
    folder.mkdir()
    for file in (mistakes.ROOT / "templates").glob("*.j2"):
        (folder / file.name).write_text(file.read_text())
    (folder / "services.yaml.j2").write_text("kind: Service\nname: {{ application.nmae }}\n")
    return ground.render(application("shop"), "--templates", str(folder))


def sample(value: str, times: int = 1) -> str:
    series = ", ".join([f'{{"metric": {{}}, "value": [1, "{value}"]}}'] * times)
    return (
        '{"status": "success", "data": {"resultType": "vector", "result": ' + f"[{series}]" + "}}"
    )
