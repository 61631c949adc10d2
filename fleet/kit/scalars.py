"""Plain scalars as kubectl takes them: `y` and `on` are true, `017` is 15, a date is a text.

Used by `documents` for files of people, so that what is said of a file holds for what kubectl makes
of it, and for what people may hand on to kubectl. It goes by the table of go-yaml 2, which is
neither that of PyYAML nor that of YAML 1.2. What stands in quotes is a text and never comes here.
"""

import math
import re

TEXT, BOOL, NULL, NUMBER, MERGE = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "bool", "null", "float", "merge")
)
TRUTHS = {
    form: truth
    for truth, words in {
        True: ("y", "yes", "true", "on"),
        False: ("n", "no", "false", "off"),
    }.items()
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
ENDLESS = frozenset(
    {f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")}
    | {".nan", ".NaN", ".NAN"}
)
"""Numbers that JSON does not have."""
EXACT = 2**63
"""From here on the API server counts as floats do."""
_FIRST = frozenset("+-.0123456789")
_WHOLE = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_OCTAL = re.compile(r"^([-+]?)0(?=[0-7])")


def tag(text: str) -> str:
    """What kind of value a plain scalar is."""
    if text in TRUTHS:
        return BOOL
    if text in NOTHING:
        return NULL
    if text == "<<":
        return MERGE
    return TEXT if number(text) is None and text not in ENDLESS else NUMBER


def number(text: str) -> int | float | None:
    """The number that a plain scalar is; None for one that is none. Whole ones are so however they
    are written: JSON has `5` for `5.0`."""
    if text[:1] not in _FIRST:
        return None
    plain = text if text[0] == "." else text.replace("_", "")
    if _WHOLE.fullmatch(plain):
        whole = int(_OCTAL.sub(r"\g<1>0o", plain), 0)
        return whole if abs(whole) < EXACT else float(whole)
    if not _FLOAT.fullmatch(plain):
        return None
    found = float(plain)
    if math.isinf(found):
        return None
    return int(found) if found.is_integer() and abs(found) < EXACT else found
