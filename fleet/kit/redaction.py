"""Texts without what looks like a credential.

What strangers say (an API server, a metrics source, a hook, an advisor, a member's engine) passes
`redact` where it comes in, so that statuses, Events and errors hold none of it; `telemetry.logs`
passes every line. Nobody repeats credentials on purpose: this is for servers that echo a request.
It takes as long as the text is long, whatever is in it: no part of a text is read twice.
"""

import re

HIDDEN = "…"
FACTOR = 16
"""How much more of a text than will be shown is looked through: what is hidden becomes short."""

_NAMES = (
    "token|passw(?:or)?d|passphrase|pwd|(?:api|access|private)[_-]?key|key-data"
    "|(?:client|app)[_-]?secret|secret[_-]?key"
)
"""How fields with credentials end."""
_QUOTED = r"""(?P<depth>\\*+)(?P<mark>["']).*?(?:(?<!\\)(?P=depth)(?P=mark)|\Z)"""
"""A value in quotes: up to those with as many backslashes, which is how deep a JSON is in others;
of a text that was cut, all that is left."""
_VALUE = rf"""(?:{_QUOTED}|(?![\[{{…])(?:[^\s,;}}"'\\]|\\++(?!["']))+)"""
_QUOTE = r"""\\*+["']"""
_PROSE = r"""(?-i:[1-5]\d\d [A-Z]|[A-Za-z][a-z]+ (?:[a-z]|\\*+"))"""
"""What begins a sentence or repeats an answer's code, and no token does."""
_REFUSALS = (
    "Required value|Forbidden:|Not found:|Too long:|Too many:|Internal error:"
    "|field not declared|unknown field"
)
"""What an API server says of a field instead of its value."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.I | re.S), instead)
    for pattern, instead in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", HIDDEN),
        # A JSON web token, as a part of any word.
        (
            r"(?<![\w-])((?:(?!(?-i:eyJ))[\w-])*+)(?-i:eyJ)[\w-]{5,}+(?:\.[\w-]+){1,4}",
            rf"\1{HIDDEN}",
        ),
        # User and password of an address; a digest is none.
        (r"""(:\\*+/\\*+/)[^/?#\s"'<>\\]*@(?!sha256:)""", rf"\1{HIDDEN}@"),
        # The header, whatever its scheme: all of it, for some have several parts.
        (
            rf"""(authorization(?:{_QUOTE})?[ \t]*[=:][ \t]*(?:\[[ \t]*)?)"""
            r"""(?!(?<=(?-i:authorization): )(?-i:(?!bearer|basic|token|digest)"""
            r"""[a-z]+ [a-z]{2,}(?![\w.~+/=-])))"""
            rf"""(?:{_QUOTED}|(?![\[{{…])[^\s"'][^\r\n]*)""",
            rf"\1{HIDDEN}",
        ),
        (
            r"((?:Bearer|Basic)\s++)(?!(?:auth|authentication|authorization|tokens?|credentials?|"
            r"realm=)(?![\w~+/-]|\.\w))(?!(?<=Basic )(?-i:[a-z]{1,12})(?![\w.~+/=-]))"
            r"[\w.~+/=-]{4,}",
            rf"\1{HIDDEN}",
        ),
        # An option with its value behind a blank, or in a list of words.
        (
            rf"((?<![\w-])--[\w-]*(?:{_NAMES}|secret)(?:{_QUOTE}\s*+,\s*+|[ \t]++)(?!--)){_VALUE}",
            rf"\1{HIDDEN}",
        ),
        # A field; what an API server says of one that is missing has no value.
        (
            rf"((?:{_NAMES})(?:{_QUOTE})?[ \t]*[=:][ \t]*(?:\[[ \t]*)?"
            rf"(?:(?:Invalid|Unsupported|Duplicate) value:[ \t]*)?+)"
            rf"(?!{_REFUSALS})(?!(?<=token: ){_PROSE}){_VALUE}",
            rf"\1{HIDDEN}",
        ),
        # A variable of a container, whose name stands beside its value.
        (
            rf"((?:{_NAMES}|secret)(?:{_QUOTE})?,?\s*+(?:{_QUOTE})?value(?:{_QUOTE})?"
            rf"[ \t]*[=:][ \t]*){_VALUE}",
            rf"\1{HIDDEN}",
        ),
        # `secret: shop/eu-7` is the name of one.
        (rf"(secret(?:{_QUOTE}[ \t]*[=:]|[ \t]*=)[ \t]*){_VALUE}", rf"\1{HIDDEN}"),
    )
)
_HINTS = (
    *("token", "passw", "passphrase", "pwd", "key", "secret"),
    *("authorization", "bearer", "basic", "eyj", "@"),
)
"""One of them, in small letters, is in every text of which a pattern takes anything away."""


def redact(text: str) -> str:
    """`text` with everything that looks like a credential replaced by `…`."""
    # To look for hints costs a twentieth of the patterns, which take a few letters beyond ASCII
    # (such as the sign for Kelvin) for ours.
    if text.isascii():
        small = text.lower()
        if not any(hint in small for hint in _HINTS):
            return text
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def excerpt(text: str, most: int) -> str:
    """The beginning of a stranger's text, at most so many characters, without credentials: also
    without the first half of one, as that which is cut first would leave."""
    return redact(text[: most * FACTOR])[:most]
