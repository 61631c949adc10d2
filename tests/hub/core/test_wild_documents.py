"""Whatever templates of a tenant print, an error says what is wrong with it or the hub can go on.

Our own objects, with one to three of their parts replaced by nonsense. A few hundred here, fifty
thousand in `make check-deep`; how they end is printed.
"""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from fleet.api.fleetrollout import Snapshot
from fleet.errors import UserError
from fleet.hub.core.cluster import ownership, schema
from fleet.kit import hashing
from fleet.rendering import printing, render
from fleet.rendering.environment import TEMPLATES
from tests import search
from tests.hub import gen, world
from tests.trees import clone

pytestmark = [search.in_time, pytest.mark.hypothesis]

COUNT = 5 * search.MANY
NONSENSE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**53, "", "x", "x" * 300, "\0", "checkout", "kube-system"),
    *([], [1], [None], [{}], {}, {"": ""}, {"a": {"b": [1, {"c": None}]}}),
)
NAMES = ("x", "", "status", "externalIPs", "a/b", "kulta.io/promote", "finalizers", "hold")

SNAPSHOT = Snapshot(name="checkout", spec=gen.application().spec)
DELIVERY = gen.delivery(SNAPSHOT, gen.cluster("eu-7"))
VALUES = render.shown(DELIVERY)
DOCUMENTS = tuple(printing.printed(world.TEMPLATES, TEMPLATES, VALUES))


def holders(value: Any) -> Iterator[Any]:
    """Every object and every list in it that holds something."""
    if isinstance(value, dict | list) and value:
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from holders(item)


def spoil(document: dict[str, Any], dice: Random) -> None:
    """Put nonsense into one place of it, beside one, or take something away."""
    holder = dice.choice(list(holders(document)) or [document])
    places = [*holder] if isinstance(holder, dict) else list(range(len(holder)))
    if isinstance(holder, dict):
        places.append(dice.choice(NAMES))
    place = dice.choice(places)
    if dice.random() < 0.2 and not (isinstance(holder, dict) and place not in holder):
        del holder[place]
    else:
        holder[place] = clone(dice.choice(NONSENSE))


def lived(dice: Random) -> str:
    """How far the objects came."""
    spoilt = [(name, clone(document)) for name, document in DOCUMENTS]
    for _ in range(dice.randint(1, 3)):
        spoil(dice.choice(spoilt)[1], dice)
    try:
        found = render.finished(DELIVERY, render.accepted(spoilt, VALUES, own=True))
    except UserError:
        return "refused"
    for item in found:
        live = clone(item.manifest)
        live["metadata"] |= {"uid": "1", "resourceVersion": "1"}
        ownership.merged(live, item)
        schema.lacking(frozenset({"spec"}), item.manifest.get("spec"))
    return "taken as it was" if hashing.digest(spoilt) == hashing.digest(DOCUMENTS) else "taken"


def test_no_document_of_a_stranger_breaks_the_hub() -> None:
    ends: Counter[str] = Counter()
    for seed in range(COUNT):
        try:
            ends[lived(Random(seed))] += 1
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    print(f"{COUNT} wild members:", ", ".join(f"{n} {c}" for n, c in sorted(ends.items())))  # noqa: T201
    assert {"refused", "taken"} <= ends.keys()
