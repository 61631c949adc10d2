"""Everything that is wrong with a Rollout as a person wrote it, all at once and without a cluster.

Called by `fleet rollout lint`. Three readers look at it, each on what the one before could read:
the schema of the CRD (types, unknown fields, the pod template), the models (durations, names), and
the rules between fields, which the CRD has in CEL. A part that cannot be read is taken out, so that
one mistake does not hide the others.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from typing import Any

from pydantic import ValidationError

from fleet.api import meta, names, rules, schema, structure
from fleet.api.analysis import Analysis
from fleet.api.rollout import Rollout
from fleet.api.structure import Problem
from fleet.kit import addresses
from fleet.kulta.core.feedback import validation

VERSIONS = (names.ROLLOUTS.api_version, f"{names.KULTA_GROUP}/v1alpha1")
KEYS = ("apiVersion", "kind", "metadata", "spec", "status")
METADATA = [
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
]
ROUNDS = 10
"""What cannot be read after so many mends is left to the reader before."""
_PART = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")
_PATH = re.compile(r"(?:metadata|spec)(?:\.[\w-]+|\[[0-9]+\])*")
_PATTERN = re.compile(r"String should match pattern '.*'(?= \(is)", re.DOTALL)
_URL = re.compile(r"https?://(?:[^/@]*@)?(?P<host>\[[0-9a-fA-F:.]+\]|[0-9.]+)(?:[:/?#]|$)")
_PARENT = re.compile(r"(\.[^.\[\]]+|\[[0-9]+\])$")


def problems(manifest: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Every problem of the Rollout `manifest`: around the spec, its parts, then between them."""
    found = [*_envelope(manifest), *structure.unquoted(manifest.get("metadata"), "metadata")]
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return (*found, Problem(path="spec", text="is required: write what shall run"))
    found += structure.unquoted(spec, "spec")
    spec = _quoted(spec)
    told = list(structure.problems(_schema(), spec, "spec"))
    tree = {"metadata": _metadata(manifest), "spec": copy.deepcopy(spec)}
    _mend(tree, told)
    rollout = None
    for _ in range(ROUNDS):
        try:
            rollout = Rollout.model_validate({**tree, "status": {}})
            break
        except ValidationError as error:
            fresh = [_worded(path, text) for path, text in meta.explained(error)]
        told += [item for item in fresh if not _is_told(item.path, told)]
        _mend(tree, fresh)
    if rollout is not None:
        said = [_of(text) for text in validation.problems(rollout.spec, rollout.name)]
        said += (*_idle(rollout), *_ambiguous(rollout))
        found += told + [item for item in said if not _is_consequence(item.path, told)]
    else:
        found += told
    found += _uncallable({key: part for key, part in spec.items() if key != "template"}, "spec")
    return tuple(dict.fromkeys(found))


def _idle(rollout: Rollout) -> Iterator[Problem]:
    """What the API server takes, and what would do nothing of what it is there for."""
    for path, analysis in _analyses(rollout):
        if not analysis.metrics:
            yield Problem(
                path=f"{path}.metrics",
                text="is empty, so that nothing is judged; write for example "
                "[{name: error-rate, threshold: 5}], or leave out analysis",
                is_taken=True,
            )
    wish = rollout.spec.strategy.simple
    for number, metric in enumerate(wish.analysis.metrics if wish and wish.analysis else ()):
        if metric.compare_to_stable is not None:
            yield Problem(
                path=f"spec.strategy.simple.analysis.metrics[{number}].compareToStable",
                text="has nothing to compare with: nobody gets the stable revision any more when a "
                "simple rollout is judged; write threshold or thresholdRange",
                is_taken=True,
            )
    if rollout.spec.template and not (rollout.spec.template.get("spec") or {}).get("containers"):
        text = "is empty; write what shall run, for example [{name: app, image: shop:v1}]"
        yield Problem(path="spec.template.spec.containers", text=text)


def _ambiguous(rollout: Rollout) -> Iterator[Problem]:
    """Metrics of one name. Some are stored, so the CRD takes them, and the engine carries on."""
    for path, analysis in _analyses(rollout):
        known = [metric.name for metric in analysis.metrics]
        for number, name in enumerate(known):
            if name in known[:number]:
                yield Problem(
                    path=f"{path}.metrics[{number}].name",
                    text=f"{name} comes twice, and statuses and messages go by the name; "
                    "write another one, with a query",
                    is_taken=True,
                )


def _analyses(rollout: Rollout) -> Iterator[tuple[str, Analysis]]:
    """Each with its path."""
    wish = rollout.spec.strategy
    known = {"simple": wish.simple, "canary": wish.canary, "blueGreen": wish.blue_green}
    for name, strategy in known.items():
        if strategy is not None and strategy.analysis is not None:
            yield f"spec.strategy.{name}.analysis", strategy.analysis


def _quoted(node: Any) -> Any:
    """The same with texts for all keys."""
    if isinstance(node, dict):
        return {str(key): _quoted(part) for key, part in node.items()}
    return [_quoted(part) for part in node] if isinstance(node, list) else node


def _uncallable(node: Any, path: str) -> Iterator[Problem]:
    """Addresses that the engine calls for nobody."""
    inner = node.items() if isinstance(node, dict) else ()
    for key, part in inner:
        yield from _uncallable(part, f"{path}.{key}")
    for number, part in enumerate(node if isinstance(node, list) else ()):
        yield from _uncallable(part, f"{path}[{number}]")
    found = _URL.match(node) if isinstance(node, str) else None
    with suppress(ValueError):
        host = ip_address(found["host"].strip("[]") if found else "")
        if why := addresses.refusal(host, allow_loopback=True):
            yield Problem(path=path, text=f"is {why}: write another; the engine never calls it")


@cache
def _schema() -> Mapping[str, Any]:
    spec: Mapping[str, Any] = schema.openapi(Rollout)["properties"]["spec"]
    return spec


def _envelope(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """What stands around the spec."""
    version = manifest.get("apiVersion")
    if version not in VERSIONS:
        yield Problem(path="apiVersion", text=f"must be {VERSIONS[0]} (is {version!r})")
    for key in sorted(map(str, manifest.keys() - set(KEYS))):
        yield structure.unknown(key, key, KEYS)
    about = manifest.get("metadata")
    if not isinstance(about, dict) or not (about.get("name") or about.get("generateName")):
        yield Problem(path="metadata.name", text="is required")
    said = about if isinstance(about, dict) else {}
    for key in sorted(map(str, said.keys() - set(METADATA))):
        yield structure.unknown(f"metadata.{key}", key, METADATA)


def _metadata(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What rules need of it; the rest is for the API server."""
    about = manifest.get("metadata")
    name = about.get("name") if isinstance(about, dict) else None
    return {"name": name} if isinstance(name, str) else {}


def _worded(path: str, text: str) -> Problem:
    """A pattern says nothing to people: the CRD's rule for that place says what to write."""
    found = _node(path).get(rules.VALIDATIONS, ())
    if _PATTERN.match(text) and found:
        text = f"{_PATTERN.sub('invalid', text)}: {found[0]['message']}"
    return Problem(path=path, text=text)


def _mend(tree: dict[str, Any], problems_: Iterable[Problem]) -> None:
    """Take out what cannot be read; what is needed gets a stand-in, so that all else can be."""
    for item in problems_:
        *way, last = [key or int(number) for key, number in _PART.findall(item.path)]
        holder: Any = tree
        for key in way:
            holder = _inside(holder, key)
        if isinstance(holder, dict) and last in holder:
            del holder[last]
        elif isinstance(holder, dict) or (isinstance(holder, list) and last in range(len(holder))):
            holder[last] = _stand_in(item.path, last)


def _inside(holder: Any, key: Any) -> Any:
    if isinstance(holder, dict):
        return holder.get(key)
    return holder[key] if isinstance(holder, list) and key in range(len(holder)) else None


def _stand_in(path: str, last: Any) -> Any:
    """Something of the right type for a place of the schema."""
    return _made(_node(path), last)


def _made(found: Mapping[str, Any], name: Any) -> Any:
    """The least that a schema takes."""
    if "enum" in found:
        return found["enum"][0]
    if found.get("type") == "array":
        return [_made(found.get("items", {}), name)] * found.get("minItems", 0)
    if found.get("type") == "object":
        known, more = found.get("properties", {}), found.get("additionalProperties", {})
        keys = found.get("required", () if known else ("a",) * found.get("minProperties", 0))
        return {key: _made(known.get(key, more), key) for key in keys}
    values = {"integer": 1, "number": 1, "boolean": False, "string": f"a-{name}"}
    return found.get("minimum", values.get(found.get("type", ""), {}))


def _node(path: str) -> Mapping[str, Any]:
    """The schema of a place; empty where there is none."""
    found: Any = {"properties": {"spec": _schema()}}
    for key, number in _PART.findall(path):
        more = found.get("additionalProperties")
        inner = more if isinstance(more, dict) else {}
        found = found.get("items", {}) if number else found.get("properties", {}).get(key, inner)
    schema_: Mapping[str, Any] = found
    return schema_


def _is_told(path: str, known: Iterable[Problem]) -> bool:
    """Whether `path` is, or lies inside of, what has been told of."""
    return any(
        path == item.path or path.startswith((f"{item.path}.", f"{item.path}[")) for item in known
    )


def _is_consequence(path: str, told: Iterable[Problem]) -> bool:
    """Whether a rule speaks of what was mended: that place, or the list or choice that holds it."""
    above = {_PARENT.sub("", item.path) for item in told}
    return path in above or _is_told(path, told)


def _of(text: str) -> Problem:
    """A sentence of the rules, which begins with its path."""
    found = _PATH.match(text)
    path = found.group() if found else "spec"
    return Problem(path=path, text=text[len(path) :].strip() if found else text)
