"""The CRDs, made from the models: `crds/*.yaml` is this module's output and nothing else.

Called by `fleet crds` and by the tests. pydantic's JSON schema becomes a structural OpenAPI v3
schema: references inlined, nulls folded, no titles, docstrings as descriptions, the pod template
filled in from `podtemplate.json` (taken from a real API server). Never touches a cluster.
"""

import copy
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from fleet.api import names, rules
from fleet.api.columns import KINDS, Definition
from fleet.api.meta import Object

Schema = dict[str, Any]

POD_TEMPLATE = "x-kulta-schema"
DEFAULT = "x-kulta-default"
"""A model writes this keyword where the server shall default an object to `{}`."""
BRIEF = "x-kulta-brief"
"""A model writes this keyword where its fields are explained in another place of the CRD: there is
room for each sentence once."""
DROPPED = (
    "title",
    "default",
    "$defs",
    "$ref",
    "anyOf",
    "allOf",
    "const",
    POD_TEMPLATE,
    DEFAULT,
    BRIEF,
)
BRIEFED = frozenset({"properties", "items"})
LONGEST_ENUM = 20
"""More words than these are listed by the documents: in a status, which people only read, and
which a newer engine may write with a word more."""
REPLICA_PATHS = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def files() -> dict[str, str]:
    """The content of `crds/`: file name → text. Compact JSON, which is YAML, fits `kubectl apply`.

    Plain `kubectl apply` keeps a copy of the object in an annotation of at most 256 KB.
    """
    return {f"{kind.resource.plural}.yaml": _file(kind) for kind in KINDS}


@cache
def _file(kind: Definition) -> str:
    """Made once: models do not change while a process lives."""
    return text(crd(kind))


def text(manifest: Mapping[str, Any]) -> str:
    """`manifest` as one line of JSON."""
    return json.dumps(manifest, separators=(",", ":"), ensure_ascii=False) + "\n"


def crd(kind: Definition) -> Schema:
    """The CustomResourceDefinition of `kind`."""
    resource = kind.resource
    spec: Schema = {
        "group": resource.group,
        "scope": "Namespaced",
        "names": {
            "kind": resource.kind,
            "listKind": f"{resource.kind}List",
            "plural": resource.plural,
            "singular": resource.kind.lower(),
            "shortNames": [kind.short],
            "categories": [names.CATEGORY],
        },
        "versions": [
            *(_version(kind, name, storage=False) for name in kind.older),
            _version(kind, resource.version, storage=True),
        ],
    }
    if kind.older:
        spec["conversion"] = {"strategy": "None"}
    return {
        **names.CRDS.head,
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": spec,
    }


def _version(kind: Definition, name: str, *, storage: bool) -> Schema:
    subresources: Schema = {"status": {}}
    if kind.scale:
        subresources["scale"] = REPLICA_PATHS
    root = openapi(kind.model)
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "subresources": subresources,
        "additionalPrinterColumns": [column.as_json() for column in kind.columns],
        "schema": {"openAPIV3Schema": root if storage else _unexplained(root)},
    }


def _unexplained(node: Any) -> Any:
    """`node` without descriptions: `kubectl explain` reads the stored version, and both of them
    together would not fit `kubectl apply`."""
    if isinstance(node, list):
        return [_unexplained(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _unexplained(value)
        for key, value in node.items()
        if not (key == "description" and isinstance(value, str))
    }


@cache
def openapi(model: type[Object[Any, Any]]) -> Schema:
    """The structural schema of a kind; `spec` is required, the server owns `metadata`. Everybody
    gets the same one, to read."""
    generated = model.model_json_schema(by_alias=True, mode="validation")
    definitions = generated.get("$defs", {})
    parts = generated["properties"]
    root: Schema = {
        "type": "object",
        "description": _sentence(generated.get("description", "")),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # Rules about the name need to see it; the server adds the rest of metadata.
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": _structural(parts["spec"], definitions, zeros=False),
            "status": _structural(_without_default(parts["status"]), definitions, zeros=True),
        },
    }
    if rules.VALIDATIONS in generated:
        root[rules.VALIDATIONS] = generated[rules.VALIDATIONS]
    return root


def _without_default(node: Schema) -> Schema:
    return {key: value for key, value in node.items() if key != "default"}


def _structural(node: Schema, definitions: Mapping[str, Schema], *, zeros: bool) -> Schema:
    """`node` as the API server takes it. `zeros`: a part of a status, which keeps defaults of 0 for
    its columns."""
    flat = _flatten(node, definitions)
    if flat.get(POD_TEMPLATE):
        described = {key: flat[key] for key in ("description",) if key in flat}
        return described | pod_template()
    result = {key: value for key, value in flat.items() if key not in DROPPED}
    if "description" in result:
        result["description"] = _sentence(result["description"])
    _settle_words(result, flat, is_read=zeros)
    if DEFAULT in flat:
        result["default"] = flat[DEFAULT]
    elif _is_shown(flat.get("default"), zeros=zeros):
        result["default"] = flat["default"]
    if "properties" in flat:
        result["properties"] = {
            name: _structural(child, definitions, zeros=zeros)
            for name, child in flat["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(flat.get(key), dict):
            result[key] = _item(_structural(flat[key], definitions, zeros=zeros), result)
    for key in sorted(BRIEFED & result.keys()) if flat.get(BRIEF) else ():
        result[key] = _unexplained(result[key])
    if "x-kubernetes-int-or-string" in result:
        result.pop("type", None)
    return result


def _item(schema: Schema, holder: Schema) -> Schema:
    """What is in a list or map, which `kubectl explain` shows together with what holds it: one
    sentence for both is enough."""
    told = "description" in holder
    return {key: value for key, value in schema.items() if not (told and key == "description")}


def _settle_words(result: Schema, flat: Schema, *, is_read: bool) -> None:
    """What may stand there, where that is a short list, or people write it."""
    if is_read and len(result.get("enum", ())) > LONGEST_ENUM:
        del result["enum"]
    if "const" in flat:
        result["enum"] = [flat["const"]]


def _flatten(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """`node` with references followed and `X or null` read as `X`; the outer words win."""
    outer = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
    inner: Schema = {}
    if "$ref" in node:
        inner = _flatten(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    alternatives = [item for item in node.get("anyOf", []) if item.get("type") != "null"]
    if len(alternatives) == 1:
        inner = _flatten(alternatives[0], definitions)
    result = {**inner, **outer}
    both = [*inner.get(rules.VALIDATIONS, []), *outer.get(rules.VALIDATIONS, [])]
    return result | ({rules.VALIDATIONS: both} if both else {})


def _is_shown(default: Any, *, zeros: bool) -> bool:
    """Plain values that say something; `false`, empty texts, lists and objects say nothing."""
    if isinstance(default, bool | str):
        return bool(default)
    return isinstance(default, int | float) and (zeros or default != 0)


def _sentence(docstring: str) -> str:
    return " ".join(docstring.split())


def pod_template() -> Schema:
    """The structural schema of core/v1 PodTemplateSpec; the caller may change its copy."""
    return copy.deepcopy(_stored_template())


@cache
def _stored_template() -> Schema:
    data = resources.files("fleet.api").joinpath("podtemplate.json").read_text(encoding="utf-8")
    result: Schema = json.loads(data)
    return result
