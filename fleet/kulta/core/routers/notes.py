"""What an annotation of a route keeps, Rollout by Rollout: JSON objects under a name.

Used by `mirrors` and `cookies`. A note that somebody broke counts as none.
"""

import json
from typing import Any

from fleet.api.meta import Manifest

Record = dict[str, Any]


def read(route: Manifest, annotation: str) -> dict[str, Record]:
    """The records of all Rollouts."""
    text = (route["metadata"].get("annotations") or {}).get(annotation)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    kept = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in kept if isinstance(value, dict)}


def keep(route: dict[str, Any], annotation: str, rollout: str, record: Record | None) -> None:
    """Keep the record of a Rollout, or drop it; the last one takes the annotation along."""
    kept = {key: value for key, value in read(route, annotation).items() if key != rollout}
    if record is not None:
        kept[rollout] = record
    found = route["metadata"].setdefault("annotations", {})
    if kept:
        found[annotation] = json.dumps(kept)
    else:
        found.pop(annotation, None)
