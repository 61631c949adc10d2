"""The hub's own token in a member: what it says of itself, and where it stands in a kubeconfig.

Used by the hub and by the commands, which therefore need no client for it. The token is a
ServiceAccount's JSON web token; only its times and its owner are read, by us who present it:
verifying it is the member's business.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import yaml

from fleet.api.names import ENGINE_NAMESPACE
from fleet.kit import documents

ACCOUNT = "kulta-fleet-hub"
SECONDS = 7 * 24 * 3_600
SUBJECT = f"system:serviceaccount:{ENGINE_NAMESPACE}:{ACCOUNT}"

RENEW_SHARE = 1 / 7
"""A token is renewed after this share of its life: daily, if it lives a week."""
ALARM_SHARE = 5 / 7
"""After this share, a token that could not be renewed is worth a condition."""


def wish(seconds: int = SECONDS) -> dict[str, Any]:
    """The TokenRequest for a token that lives so long; 600 or more, and no more than a wish."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a token says of itself."""

    subject: str
    issued: datetime
    expires: datetime

    @property
    def is_ours(self) -> bool:
        """Whether the hub may renew it: it is a token of its own account."""
        return self.subject == SUBJECT

    @property
    def renew_at(self) -> datetime:
        return self._after(RENEW_SHARE)

    @property
    def alarm_at(self) -> datetime:
        return self._after(ALARM_SHARE)

    def _after(self, share: float) -> datetime:
        return self.issued + timedelta(seconds=(self.expires - self.issued).total_seconds() * share)


def read(token: str | None) -> Token | None:
    """What `token` says; None when it is no JSON web token or never ends."""
    parts = (token or "").split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return Token(
            subject=str(claims.get("sub", "")),
            issued=datetime.fromtimestamp(claims["iat"], UTC),
            expires=datetime.fromtimestamp(claims["exp"], UTC),
        )
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def replaced(kubeconfig: str, token: str, by: str) -> str:
    """`kubeconfig` with `token` replaced wherever a user holds it; everything else is kept."""
    document: dict[str, Any] = documents.one(kubeconfig)
    for entry in document.get("users") or ():
        user = entry.get("user") or {}
        if str(user.get("token", "")).strip() == token:
            user["token"] = by
    return yaml.safe_dump(document, sort_keys=False)


def decoded(secret: Mapping[str, Any], key: str) -> str | None:
    """The text under `key` of a Secret; None when it is not there or no text."""
    value = (secret.get("data") or {}).get(key)
    if not value:
        return None
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
