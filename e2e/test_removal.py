"""An Application deleted in the midst of a run, with real engines and a real garbage collector.

What was made is taken away wave by wave, last wave first; nobody waits for a member that is lost,
and what has to stay there is told.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from e2e.ground import background
from e2e.ground import member as members
from e2e.ground.proxy import Proxy
from e2e.ground.waiting import until
from e2e.realm import Realm, application, deliver
from e2e.tenancy import Tenant
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    EVENTS,
    FLEETROLLOUTS,
    FLEETS,
    NAMESPACES,
    ROLLOUTS,
    SECRETS,
    SERVICES,
)

NAME = "doomed"
BRIEF = "brief"
"""An Application that waits only two seconds for a member that is lost."""
STEPS = {"canary": {"steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}]}}
WAVES = [{"name": "first", "clusters": ["west"]}, {"name": "rest", "remaining": True}]
BOTH: dict[str, Any] = {"waves": WAVES, "maxConcurrency": 2}
COLLECTED = 60.0
"""The garbage collector looks for new kinds, and thus for Applications, every 30 seconds."""


@pytest.fixture
def way(realm: Realm) -> Iterator[tuple[background.Loop, Proxy]]:
    """The hub's way to the member `east`, and the loop in which it can be cut."""
    loop, proxy = background.Loop(), Proxy(realm.members["east"].plane.port)
    loop.call(proxy.heal())
    yield loop, proxy
    loop.call(proxy.refuse())
    loop.close()


def there(tenant: Tenant, member: str) -> dict[str, Any]:
    """The Rollout in that member; empty when there is none."""
    code, found = tenant.puppets[member].plane.call("GET", ROLLOUTS.path(tenant.namespace, NAME))
    return found if code == 200 else {}


def services(tenant: Tenant, member: str) -> list[str]:
    """The Services in that member."""
    _, found = tenant.puppets[member].plane.call("GET", SERVICES.path(tenant.namespace))
    return [item["metadata"]["name"] for item in found["items"]]


def taken(tenant: Tenant, member: str, mark: int, name: str) -> list[datetime]:
    """When the hub deleted objects of that Application in that member since."""
    log = tenant.puppets[member].plane.audit
    found = log.read(
        since=mark, user=members.HUB_USER, namespace=tenant.namespace, verbs=["delete"]
    )
    return [request.received for request in found if request.name.startswith(name)]


def told(tenant: Tenant, about: str, reason: str) -> list[str]:
    """The messages of Events about that object."""
    _, found = tenant.world.plane.call("GET", EVENTS.path(tenant.namespace))
    return [
        item["message"]
        for item in found["items"]
        if (item["involvedObject"]["name"], item["reason"]) == (about, reason)
    ]


def delivered(realm: Realm, proxy: Proxy) -> Tenant:
    """Three members with two Applications; the first wave has begun with another version of one,
    and `east` is lost."""
    tenant = realm.tenant("removal", "site", "west", "east", east=proxy.url)
    brief = application(BRIEF, "sample:v1", {"simple": {}}, deletionTimeout="2s", **BOTH)
    deliver(tenant, application(NAME, "sample:v1", STEPS, **BOTH), brief)
    for name in ("west", "site", "east"):
        tenant.await_cluster(name, "Succeeded", application=NAME, within=60)
        tenant.await_cluster(name, "Succeeded", application=BRIEF, within=60)
    deliver(tenant, application(NAME, "sample:v2", STEPS, **BOTH))
    tenant.await_cluster("west", "Paused", application=NAME, within=60)
    return tenant


def released(tenant: Tenant, name: str, within: float) -> str:
    """What is told of the ClusterRollout of that Application in `east`, once it is let go."""
    orphan = f"{name}.east"
    until(lambda: not tenant.get(CLUSTERROLLOUTS, orphan), f"{orphan} is let go", within=within)
    (message,) = until(lambda: told(tenant, orphan, "Released"), "it is told", within=10)
    assert f"left behind in the member: Rollout removal/{name}, Service removal/{name}" in message
    return message


def test_an_application_is_deleted_in_the_midst_of_a_run(
    realm: Realm, way: tuple[background.Loop, Proxy]
) -> None:
    """[MT-16, KH-31, KH-84] The run is aborted, later waves go first, and orphans are reported."""
    loop, proxy = way
    tenant = delivered(realm, proxy)
    loop.call(proxy.refuse())
    tenant.await_condition("east", "Reachable", "False")
    marks = {name: tenant.puppets[name].plane.audit.mark() for name in ("west", "site")}
    call = tenant.world.plane.call
    call("DELETE", FLEETS.path(tenant.namespace, "all"))
    for name in (NAME, BRIEF):
        call("DELETE", APPLICATIONS.path(tenant.namespace, name))
    for name in ("site", "west"):
        until(
            partial(lambda n: not tenant.cluster(n, NAME), name),
            f"{name} is cleared",
            within=COLLECTED,
        )
        assert there(tenant, name) == {}
    later, earlier = (taken(tenant, name, marks[name], NAME) for name in ("site", "west"))
    assert max(later) < min(earlier), "the first wave goes when the second has gone"
    run = f"{NAME}-2"
    until(lambda: not tenant.get(FLEETROLLOUTS, run), "the run goes with it", within=10)
    assert until(lambda: told(tenant, run, "Aborted"), "it is told as aborted", within=10)
    assert released(tenant, BRIEF, COLLECTED).startswith("out of reach for 2s: ")
    waiting = tenant.cluster("east", NAME)
    assert waiting["reason"] == "Deleting"
    assert waiting["message"].startswith("waiting for the member: ")
    call("DELETE", SECRETS.path(tenant.namespace, "east"))
    released(tenant, NAME, 20)
    assert (
        there(tenant, "east")["spec"]["template"]["spec"]["containers"][0]["image"] == "sample:v1"
    )
    for name in ("site", "west"):
        until(
            partial(lambda n: not services(tenant, n), name),
            f"{name} is as it was",
            within=COLLECTED,
        )
    space = NAMESPACES.path(None, tenant.namespace)
    call("DELETE", space)
    until(lambda: call("GET", space)[0] == 404, "the whole tenant can go", within=COLLECTED)
