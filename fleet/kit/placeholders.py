"""`{{ name }}` in queries and URLs that users write.

Used by the models and both cores to find names that mean nothing, and by the engine's core to fill
in what they stand for. Whoever fills says how a value is escaped where it stands.
"""

import re
from collections.abc import Callable, Mapping

_PATTERN = re.compile(r"{{\s*([^{}]*?)\s*}}")


def names(text: str) -> tuple[str, ...]:
    """What stands between double braces, in order, each as often as it stands there."""
    return tuple(_PATTERN.findall(text))


def filled(text: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    """`text` with the known names replaced by escaped values; unknown ones stay as they are."""
    return _PATTERN.sub(
        lambda found: escape(values[found[1]]) if found[1] in values else found[0], text
    )
