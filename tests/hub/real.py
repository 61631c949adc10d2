"""The real engine core in the members of the hub's small world.

What the hub wrote is decoded as the engine's runtime decodes it; what the engine does goes back
into the same objects. Pods, gateway and metrics are those of `tests.kulta.world`.
"""

from dataclasses import dataclass, field
from datetime import datetime

import orjson

from fleet.api import names
from fleet.hub.core.observed import Place
from fleet.kulta.core.observed import Service
from fleet.kulta.runtime import decode
from tests.hub.engine import Manifest, Objects, clone, own, written
from tests.kulta.world import World

BAD = 12.4
"""The error rate of a bad revision, in percent."""


@dataclass
class Real:
    """The engines of all members; each Rollout has one world for its whole life."""

    inside: dict[tuple[str, str], World] = field(default_factory=dict)
    mended: bool = False
    """Whether what was wrong with bad revisions is over."""

    def step(self, cluster: str, objects: Objects, now: datetime, *, bad: bool) -> None:
        """Run every Rollout until its engine has nothing to do."""
        for key, manifest in list(objects.items()):
            if key[0] != names.ROLLOUTS.plural:
                continue
            known = (cluster, manifest["metadata"]["uid"])
            inside = self.inside.setdefault(known, World(manifest=clone(manifest)))
            image = manifest["spec"]["template"]["spec"]["containers"][0]["image"]
            rate = self.rate(image, bad=bad)
            inside.answer = lambda text, rate=rate: rate
            inside.now = now
            _in(inside, manifest, objects)
            inside.run()
            _out(inside, key, objects)

    def rate(self, image: str, *, bad: bool) -> float | None:
        """What all metrics say of that image; None is no data."""
        return BAD if (bad or "bad" in image) and not self.mended else 1.0


def _in(inside: World, manifest: Manifest, objects: Objects) -> None:
    inside.manifest = {key: value for key, value in clone(manifest).items() if key != "status"}
    inside.manifest["metadata"].setdefault("annotations", {})
    services = [clone(one) for key, one in objects.items() if key[0] == names.SERVICES.plural]
    inside.services = {one["metadata"]["name"]: decode.service(one) for one in services}
    inside.routes = {}
    for key, one in objects.items():
        if key[0] == names.HTTPROUTES.plural:
            route = decode.route(names.HTTPROUTES)(clone(one))
            route["metadata"].setdefault("generation", 1)
            route.setdefault("status", {}).setdefault("parents", [])
            inside.routes[key[2]] = route


def _out(inside: World, place: Place, objects: Objects) -> None:
    before, manifest = objects[place], own(objects, *place)
    meta = inside.manifest["metadata"]
    manifest["status"] = inside.status.manifest()
    for part in ("annotations", "finalizers"):
        manifest["metadata"][part] = meta.get(part) or type(before["metadata"].get(part, []))()
    if manifest != before:
        written(manifest)
    namespace = meta["namespace"]
    for name, route in inside.routes.items():
        objects[names.HTTPROUTES.plural, namespace, name] = clone(route)
    for name, service in inside.services.items():
        _select(own(objects, names.SERVICES.plural, namespace, name), service)


def _select(there: Manifest, service: Service) -> None:
    """What the engine's runtime writes for `SelectService`."""
    notes = there["metadata"].setdefault("annotations", {})
    notes.pop(names.ORIGINAL_SELECTOR, None)
    if service.original is not None:
        notes[names.ORIGINAL_SELECTOR] = orjson.dumps(dict(service.original)).decode()
    there["spec"]["selector"] = dict(service.selector)
    there["metadata"]["resourceVersion"] = service.resource_version
