"""Objects that a schema lets through, with the wildest content that it allows.

Made from the schemas of our own CRDs: every field may be there or not, every number at its limits,
every text empty, endless or nonsense. `put` mixes them with parts that make sense, so that what is
behind the first refusal is reached too.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import orjson

from fleet.api import structure

CRDS = Path(__file__).parent.parent / "crds"

TEXTS = (
    *("", " ", "0", "-1", "true", "null", "NaN", "inf", "1,5", "a\nb", "\u202e\U0001f525"),
    *("5m", "0s", "1h30m", "1e9h", "999999999999h", "-5m", "\u0663m"),
    *("25%", "0%", "101%", "-3%", "3.5%"),
    *("{{ canary }}", "{{ nope }}", "{{ service }} {{ window }}", "{% raw %}"),
    *("x" * 63, "x" * 300, "checkout", "checkout-canary", "kube-system", "*", ".."),
    *("https://x.example", "http://[::1", "https://169.254.169.254/latest"),
    *("up", "rate(x[5m])", "$.value"),
)
PATTERNS: Mapping[str, tuple[str, ...]] = {
    "^https?://": ("http://", "https://x.example/y", "http://[::1", "https://169.254.169.254/"),
    "[KMGTPE]i": ("1", "100m", "1Gi", ".5", "1e3", "+4M"),
    "[-a-z0-9]": ("a", "eu-7", "x" * 63, "0", "checkout", "rest"),
}
NUMBERS = (0, 1, -1, 2, 3, 50, 99, 100, 101, 1_000, 65_536, 2**31, 2**53)
FLOATS = (0.0, -0.0, 0.1, 5.0, -1e300, 1e308, 5e-324, 99.999)
SELDOM = 0.25
"""How likely a field is there that needs not be."""


@cache
def of(plural: str) -> Mapping[str, Any]:
    """The schema of a kind, from the file of its CRD, which is JSON."""
    found = orjson.loads((CRDS / f"{plural}.yaml").read_bytes())
    schema: Mapping[str, Any] = found["spec"]["versions"][-1]["schema"]["openAPIV3Schema"]
    return schema


def value(node: Mapping[str, Any], dice: Random, depth: int = 0) -> Any:
    """Something that `node` lets through; CEL rules aside."""
    if "enum" in node:
        return dice.choice(list(node["enum"]))
    if node.get("x-kubernetes-int-or-string"):
        return dice.choice([dice.choice(NUMBERS), _text(node, dice, depth)])
    made = KINDS.get(node.get("type", ""))
    return made(node, dice, depth) if made else {}


def _array(node: Mapping[str, Any], dice: Random, depth: int) -> list[Any]:
    least = node.get("minItems", 0)
    count = dice.randint(least, max(min(node.get("maxItems", 3), 3), least))
    return _distinct(node, [value(node["items"], dice, depth + 1) for _ in range(count)])


def _object(node: Mapping[str, Any], dice: Random, depth: int) -> dict[str, Any]:
    known, more = node.get("properties", {}), node.get("additionalProperties")
    if not known and isinstance(more, Mapping):
        keys = dice.sample(["app", "a", "", "kulta.io/x", "app.kubernetes.io/name"], 2)
        return {key: value(more, dice, depth + 1) for key in keys[: node.get("maxProperties", 2)]}
    needed, odds = node.get("required", ()), SELDOM if depth < 6 else 0.03
    # Pod templates have hundreds of fields; nobody writes a tenth of them.
    odds = min(odds, 6 / max(len(known), 1))
    chosen = [key for key in known if key in needed or dice.random() < odds]
    if len(chosen) < node.get("minProperties", 0):
        chosen = [dice.choice(list(known))]
    return {key: value(known[key], dice, depth + 1) for key in chosen}


def _distinct(node: Mapping[str, Any], items: list[Any]) -> list[Any]:
    """Keys of a list come once each."""
    keys = node.get("x-kubernetes-list-map-keys", ())
    if not keys:
        return items
    defaults = {key: node["items"]["properties"][key].get("default") for key in keys}
    found = {tuple(str(x.get(key, defaults[key])) for key in keys): x for x in items}
    return list(found.values())


def _number(node: Mapping[str, Any], dice: Random, _: int) -> float:
    least, most = node.get("minimum", -(2**31)), node.get("maximum", 2**53)
    known = (*NUMBERS, *FLOATS) if node["type"] == "number" else NUMBERS
    return dice.choice([item for item in (*known, least, most) if least <= item <= most])


def _text(node: Mapping[str, Any], dice: Random, _: int) -> str:
    pattern = node.get("pattern", "")
    known = next((texts for part, texts in PATTERNS.items() if part in pattern), TEXTS)
    least, most = node.get("minLength", 0), node.get("maxLength", 400)
    fit = [x for x in known if least <= len(x) <= most and (not pattern or re.search(pattern, x))]
    return dice.choice(fit) if fit else "x" * max(least, 1)


def _flag(_: Mapping[str, Any], dice: Random, __: int) -> bool:
    return dice.random() < 0.5


KINDS: Mapping[str, Callable[[Mapping[str, Any], Random, int], Any]] = {
    "object": _object,
    "array": _array,
    "integer": _number,
    "number": _number,
    "string": _text,
    "boolean": _flag,
}


def put(body: dict[str, Any], parts: Mapping[str, Any], dice: Random, odds: float) -> None:
    """Each of `parts` (by paths like `spec.replicas`) in its place if there is one, so likely."""
    for path, part in parts.items():
        *way, last = path.split(".")
        here: Any = body
        for key in way:
            here = here.get(key) if isinstance(here, dict) else None
        if isinstance(here, dict) and dice.random() < odds:
            here[last] = part


def check(plural: str, part: str, body: Any) -> None:
    """What is written is something that the API server would take."""
    found = list(structure.problems(of(plural)["properties"][part], body, part))
    assert not found, "; ".join(map(str, found))
