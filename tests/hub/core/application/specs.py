"""The Application of the tests, changed here and there, and what the rules say of it."""

from typing import Any

import jsonpatch

from fleet.hub.core import policy
from fleet.hub.core.application import validation
from tests.hub import gen

POLICY = "/deliveryPolicy"
CANARY = f"{POLICY}/strategy/canary"


def put(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def drop(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def problems(*changes: dict[str, Any], name: str = "checkout") -> tuple[str, ...]:
    body = jsonpatch.apply_patch(gen.spec(), changes)
    application = gen.application(body=body)
    meta = application.metadata.model_copy(update={"name": name})
    application = application.model_copy(update={"metadata": meta})
    fleet = gen.fleet()
    return validation.problems(
        validation.Subject(
            application=application,
            policy=policy.resolve(application.spec.delivery_policy, fleet),
            fleet=fleet,
            chosen=("a", "b"),  # type: ignore[arg-type]
        )
    )
