"""What a member's Rollout CRD declares, so that nothing is sent there that it would not know.

Called by the runtime's `schemas`, which reads the CRD, and by `writes`, which asks. An API server
answers an unknown field of a server-side apply with an error that says little, and other writes
lose it silently.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.api.names import ROLLOUTS
from fleet.hub.core.cluster import live
from fleet.hub.core.observed import DispatchObserved, Member

ANYTHING = "**"
"""Stands for all that is below a field which keeps what it does not know."""


def fields(crd: Mapping[str, Any], version: str) -> frozenset[str]:
    """The paths that `spec` may have in that version, as `spec.strategy.canary.steps[].setWeight`,
    `.*` for any key; empty where the CRD says nothing about them."""
    return paths(declared(crd, version))


def paths(spec: Mapping[str, Any] | None) -> frozenset[str]:
    """The same of the schema of `spec` alone."""
    return frozenset(_paths(spec, "spec")) if spec is not None else frozenset()


def published(document: Any) -> Mapping[str, Any] | None:
    """The schema of `spec` in what an API server publishes (OpenAPI v3) about the group and version
    of Rollouts; None where there is none. The text may say anything."""
    for one in live.part(document, "components", "schemas").values():
        kinds = live.part(one).get("x-kubernetes-group-version-kind")
        named = kinds if isinstance(kinds, list) else ()
        if any(live.part(kind).get("kind") == ROLLOUTS.kind for kind in named):
            return live.part(one, "properties", "spec") or None
    return None


def declared(crd: Mapping[str, Any], version: str) -> Mapping[str, Any] | None:
    """The schema of `spec` in that version; None where there is none."""
    versions = (crd.get("spec") or {}).get("versions") or ()
    schemas = (one.get("schema") or {} for one in versions if one.get("name") == version)
    for schema in schemas:
        spec = ((schema.get("openAPIV3Schema") or {}).get("properties") or {}).get("spec")
        if isinstance(spec, Mapping):
            return spec
    return None


def too_old(member: Member, observed: DispatchObserved) -> tuple[str, str] | None:
    """What is rendered and the member's CRD does not declare."""
    specs = (one.manifest.get("spec") for one in observed.rendered if one.resource is ROLLOUTS)
    path = next((found for one in specs if (found := lacking(member.fields, one))), "")
    if not path:
        return None
    return (
        "EngineTooOld",
        f"the Rollout CRD of {member.name} does not know {path}: run `fleet cluster add "
        f"{member.name}` again, or leave that out",
    )


def lacking(known: frozenset[str], value: Any, path: str = "spec") -> str:
    """The first path of `value` that is not declared; empty where all are, or nothing is known."""
    if not known or f"{path}.{ANYTHING}" in known:
        return ""
    if isinstance(value, Mapping):
        return _first(_lacking(known, value, path))
    if isinstance(value, list | tuple):
        return _first(lacking(known, item, f"{path}[]") for item in value)
    return ""


def _lacking(known: frozenset[str], value: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, part in value.items():
        place = f"{path}.{key}"
        if place not in known and f"{path}.*" not in known:
            yield place
        else:
            yield lacking(known, part, place if place in known else f"{path}.*")


def _first(found: Iterator[str]) -> str:
    return next((path for path in found if path), "")


def _paths(schema: Any, path: str) -> Iterator[str]:
    yield path
    if live.part(schema).get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}.{ANYTHING}"
    for name, part in live.part(schema, "properties").items():
        yield from _paths(part, f"{path}.{name}")
    if items := live.part(schema, "items"):
        yield from _paths(items, f"{path}[]")
    if others := live.part(schema, "additionalProperties"):
        yield from _paths(others, f"{path}.*")
