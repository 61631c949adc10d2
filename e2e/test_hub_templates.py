"""Templates of a tenant's own, with the real hub and a real member: a good one and an evil one.

Both Applications are of one tenant, so that one process after another prints for both. The engine
is a puppet.
"""

from typing import Any

import pytest

from e2e.ground.waiting import until
from e2e.tenancy import NAME, STEPS, Tenant, World
from fleet.api.names import APPLICATIONS, CONFIGMAPS, FLEETROLLOUTS, FLEETS, SERVICES

WHERE = "west"
EVIL = "evil"
LABEL = {"fleet.kulta.io/templates": "true"}
SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ application.service.name }}
  annotations: {note: "NOTE", cluster: {{ cluster.name }}}
spec:
  selector: {{ application.selector | to_json }}
  ports: [{port: 80}]
"""
LOOP = "\n" + "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3


@pytest.fixture
def tenant(world: World) -> Tenant:
    """One whose Fleet is a single member."""
    found = world.tenant()
    found.put(FLEETS, {"metadata": {"name": "all"}, "spec": {"members": {"names": [WHERE]}}})
    return found


def write(tenant: Tenant, name: str, text: str) -> None:
    """The ConfigMap of that Application."""
    data = {"services.yaml.j2": text}
    tenant.put(CONFIGMAPS, {"metadata": {"name": name, "labels": LABEL}, "data": data})


def deliver(tenant: Tenant, name: str) -> None:
    """An Application that names the ConfigMap of its own name."""
    containers = [{"name": "app", "image": "app:v1"}]
    spec = {
        "destination": {"fleet": "all"},
        "workload": {
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}},
            "service": {"port": 80},
        },
        "templates": {"configMap": name},
        "deliveryPolicy": {"strategy": STEPS},
    }
    tenant.put(APPLICATIONS, {"metadata": {"name": name}, "spec": spec})


def notes(tenant: Tenant) -> dict[str, str]:
    """What the Service in the member says."""
    path = SERVICES.path(tenant.namespace, NAME)
    code, found = tenant.puppets[WHERE].plane.call("GET", path)
    annotations: dict[str, str] = found["metadata"]["annotations"] if code == 200 else {}
    return {key: text for key, text in annotations.items() if "/" not in key}


def accepted(tenant: Tenant, name: str) -> tuple[str, str]:
    """(reason, message) of the Application's condition."""
    status: dict[str, Any] = tenant.get(APPLICATIONS, name).get("status") or {}
    found = [item for item in status.get("conditions") or () if item["type"] == "Accepted"]
    return (found[0]["reason"], found[0].get("message", "")) if found else ("", "")


def test_own_templates_are_delivered_beside_evil_ones_and_stay_as_they_were_frozen(
    tenant: Tenant,
) -> None:
    puppet = tenant.puppets[WHERE]
    for name, text in ((EVIL, LOOP), (NAME, SERVICE.replace("NOTE", "one"))):
        write(tenant, name, text)
        deliver(tenant, name)
    puppet.complete(tenant.namespace, NAME, "app:v1")
    tenant.await_phase(1, "Succeeded")
    assert notes(tenant) == {"note": "one", "cluster": WHERE}
    told = until(
        lambda: found if (found := accepted(tenant, EVIL))[0] == "TemplateError" else None,
        "the evil one is told",
        within=60,
    )
    words = f"cluster {WHERE}: template services.yaml.j2 line 2: more than 1 s of processor time"
    assert told[1] == words

    write(tenant, NAME, SERVICE.replace("NOTE", "two"))
    until(lambda: notes(tenant)["note"] == "two", "the change is delivered", within=30)
    run = tenant.get(FLEETROLLOUTS, f"{NAME}-2")
    assert run["spec"]["trigger"] == "ClusterInputsChanged"
    assert "two" in run["spec"]["application"]["templates"]["services.yaml.j2"]
    puppet.complete(tenant.namespace, NAME, "app:v1")
    tenant.await_phase(2, "Succeeded")

    write(tenant, EVIL, SERVICE.replace("NOTE", "good"))
    puppet.await_image(tenant.namespace, EVIL, "app:v1")
    before = len(tenant.writes(WHERE))
    tenant.world.plane.call("DELETE", CONFIGMAPS.path(tenant.namespace, NAME))
    until(lambda: accepted(tenant, NAME)[0] == "TemplatesNotFound", "it is missed", within=30)
    assert tenant.run(2)["phase"] == "Succeeded"
    assert not tenant.get(FLEETROLLOUTS, f"{NAME}-3")
    assert notes(tenant)["note"] == "two"
    ours = [request for request in tenant.writes(WHERE)[before:] if f"/{NAME}" in request.uri]
    assert ours == []
