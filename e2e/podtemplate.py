"""Takes the schema of a pod template from a real API server and keeps it as data of the package.

Run by hand when the supported Kubernetes version moves:
`kubectl get --raw /openapi/v3/api/v1 | python -m e2e.podtemplate > fleet/api/podtemplate.json`.
A test compares the kept file with what the server of the e2e ground says.
"""

import json
import sys
from typing import Any

KEPT = (
    "type",
    "format",
    "enum",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)
"""Descriptions, defaults and hints for clients are left behind."""

LONGEST_ENUM = 20

GONE_DRIVERS = (
    "flocker",
    "glusterfs",
    "photonPersistentDisk",
    "quobyte",
    "scaleIO",
    "storageos",
)
"""Volumes whose drivers left Kubernetes before 1.28, the oldest that a member may have."""
SET_BY_SERVER = (
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""Metadata that means nothing in a template; `creationTimestamp: null` is what tools write."""
NOT_OF_CLAIMS = ("finalizers", "generateName", "name", "namespace")
"""Metadata that every API server forbids in the template of a claim."""
MERGED = "x-kubernetes-map-type"
"""How objects are merged; where a list or an object around one has a single owner, it says
nothing."""

QUANTITY = {
    "x-kubernetes-int-or-string": True,
    "pattern": r"^[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$",
}
INT_OR_STRING = {"x-kubernetes-int-or-string": True}


def schema(openapi: dict[str, Any]) -> dict[str, Any]:
    """The structural schema of core/v1 PodTemplateSpec in the OpenAPI v3 document of core/v1."""
    definitions = openapi["components"]["schemas"]
    result = _structural(definitions["io.k8s.api.core.v1.PodTemplateSpec"], definitions)
    _leave_out(result)
    _settle_owners(result, is_owned_whole=False)
    return result


def _leave_out(template: dict[str, Any]) -> None:
    """What no API server or kubelet of the supported versions does anything with."""
    spec = template["properties"]["spec"]["properties"]
    del spec["ephemeralContainers"]  # every API server forbids them in a template
    del spec["activeDeadlineSeconds"]  # the same in a ReplicaSet's
    volume = spec["volumes"]["items"]["properties"]
    for name in GONE_DRIVERS:
        del volume[name]
    claim = volume["ephemeral"]["properties"]["volumeClaimTemplate"]
    for holder in (template, claim):
        meta = holder["properties"]["metadata"]["properties"]
        for name in SET_BY_SERVER:
            del meta[name]
    for name in NOT_OF_CLAIMS:
        del meta[name]


def _settle_owners(node: dict[str, Any], *, is_owned_whole: bool) -> None:
    """Leave out what is said of merging inside of what is never merged."""
    if is_owned_whole:
        node.pop(MERGED, None)
    is_list = node.get("type") == "array" and "x-kubernetes-list-type" not in node
    below = is_owned_whole or is_list or node.get(MERGED) == "atomic"
    inner = [node[key] for key in ("items", "additionalProperties") if key in node]
    for child in (*node.get("properties", {}).values(), *inner):
        _settle_owners(child, is_owned_whole=below)


def _structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = _reference(node)
    if reference.endswith(".Quantity"):
        return dict(QUANTITY)
    if reference.endswith(".IntOrString"):
        return dict(INT_OR_STRING)
    if reference:
        return _structural(definitions[reference], definitions)
    result = {key: node[key] for key in KEPT if key in node and not _says_nothing(key, node[key])}
    if "properties" in node:
        result["properties"] = {
            name: _structural(child, definitions) for name, child in node["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in node:
            result[key] = _structural(node[key], definitions)
    _settle_keys(result)
    return result


def _says_nothing(key: str, value: Any) -> bool:
    """Lists are atomic unless told otherwise; the 65 names of signals are the kubelet's matter; the
    numbers have ranges far below their formats', and the server of the pods knows these."""
    return (
        (key, value) == ("x-kubernetes-list-type", "atomic")
        or (key == "format" and value in ("int32", "int64"))
        or (key == "enum" and len(value) > LONGEST_ENUM)
    )


def _reference(node: dict[str, Any]) -> str:
    """The name of the definition that stands in this place, or nothing."""
    parts = [node, *node.get("allOf", [])]
    found = [part["$ref"] for part in parts if "$ref" in part]
    return found[0].rsplit("/", 1)[-1] if found else ""


def _settle_keys(node: dict[str, Any]) -> None:
    """Keys of a list need a default or must be required; `protocol` is the one with a default."""
    for key in node.get("x-kubernetes-list-map-keys", []):
        item = node["items"]
        if key == "protocol":
            item["properties"][key]["default"] = "TCP"
        elif key not in item.get("required", []):
            item["required"] = sorted([*item.get("required", []), key])


if __name__ == "__main__":
    json.dump(schema(json.load(sys.stdin)), sys.stdout, sort_keys=True, separators=(",", ":"))
    sys.stdout.write("\n")
