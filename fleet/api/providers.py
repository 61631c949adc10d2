"""Providers: whom the engine asks for numbers, and with which credentials.

Part of an analysis; MemberClusters and Fleets name a Prometheus for all that name none. Credentials
stand in Secrets of the Rollout's namespace and nowhere else.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from fleet.api.meta import Model
from fleet.api.rules import Rule, Rules
from fleet.kit import jsonpath

ADDRESS = r"^https?://[^\s]+$"
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"


class SecretRef(Model):
    """A Secret of the Rollout's namespace with credentials."""

    name: Annotated[str, Field(max_length=253, pattern=_NAME), Rules(instead_of=("pattern",))]
    """Its name."""


class Prometheus(Model):
    """Where the engine asks for metrics."""

    address: Annotated[
        str,
        Field(max_length=512, pattern=ADDRESS),
        Rules(
            Rule(
                rule=f"self.matches(r'{ADDRESS}')",
                message="write a URL: http://host:port or https://host:port",
            ),
            instead_of=("pattern",),
        ),
    ]
    """Base URL, for example `http://prometheus.monitoring:9090`."""
    secret_ref: SecretRef | None = None


class Provider(Model):
    """Who is asked instead."""

    RULES = (
        Rule(
            rule="has(self.address) != has(self.url) && has(self.url) == has(self.jsonPath)",
            message="write address (of a Prometheus), or url and jsonPath",
        ),
    )

    address: Annotated[str, Field(max_length=512, pattern="^https?://")] | None = None
    """Another Prometheus."""
    url: Annotated[str, Field(max_length=1_024, pattern="^https?://")] | None = None
    """A JSON API; may hold the placeholders of `query`."""
    json_path: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Where the number stands in it: `$.data[0].rate`."""
    secret_ref: SecretRef | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        """Field and sentence of what is wrong beyond single fields."""
        if (self.address is None) == (self.url is None) or (
            (self.url is None) != (self.json_path is None)
        ):
            yield "", f"is incomplete: {self.RULES[0].message}"
        try:
            jsonpath.parse(self.json_path or "")
        except ValueError as error:
            yield "jsonPath", str(error)
        if "@" in (self.url or "").partition("://")[2].partition("/")[0]:
            yield "url", "holds a user; put username and password into a Secret: secretRef"
