"""The metrics source over HTTP: one instant query, one number.

Called by `sources`; addresses come from users, so `web` judges and bounds every call. Nothing is
retried: the next check comes by itself.
"""

import math
from typing import Any

import orjson

from fleet.clusters import web
from fleet.clusters.web import Call, Web
from fleet.errors import TemporaryError
from fleet.kulta.runtime.credentials import OPEN, Access

DOUBT = "; is this the address of a Prometheus?"
PAIRS = ("scalar", "string")
"""Kinds of results that are a time and a value, and no list of series."""


class PrometheusSource:
    """Servers that speak Prometheus' HTTP API. Every query ends within `timeout` seconds."""

    def __init__(self, net: Web, *, timeout: float) -> None:
        self._web = net
        self._timeout = timeout

    async def query(self, address: str, text: str, access: Access = OPEN) -> float | None:
        """The value, None when there is no data; raises TemporaryError with a sentence otherwise.

        NaN and infinities are errors, not values.
        """
        base, name = address.partition("?")[0], web.shown(address)
        call = Call(
            method="GET",
            url=f"{base.rstrip('/')}/api/v1/query",
            name=name,
            params={"query": text},
            headers={"Accept": "application/json", **access.headers},
            authority=access.authority,
            seconds=self._timeout,
        )
        answer = await self._web.ask(call, DOUBT)
        web.admit(answer, name)
        return parse(answer.status, answer.body, name)


def parse(status: int, body: bytes, address: str) -> float | None:
    """The number of an answer, None when it holds no series. Raises TemporaryError, for several
    series too: which of them is meant nobody knows."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise TemporaryError(
            f"{address} answered {status} with something that is not JSON{DOUBT}"
        ) from None
    if not isinstance(said, dict):
        raise TemporaryError(
            f"{address} answered {status} with something that is not an object{DOUBT}"
        )
    if said.get("status") != "success":
        why = web.cut(str(said.get("error") or said.get("errorType") or f"HTTP {status}"))
        raise TemporaryError(f"{address} refused the query: {why}; correct the metric's query")
    data = said.get("data")
    data = data if isinstance(data, dict) else {}
    result = data.get("result")
    if not isinstance(result, list):
        raise TemporaryError(f"{address} answered without a result{DOUBT}")
    if not result:
        return None
    if data.get("resultType") not in PAIRS and len(result) > 1:
        raise TemporaryError(
            f"{address} answered with {len(result)} series where one number is needed; "
            "add them up, for example sum(…)"
        )
    return _number(_sample(data, result), address)


def _sample(data: Any, result: list[Any]) -> Any:
    """`[time, "value"]` of a scalar or a text, or of the series of a vector."""
    if data.get("resultType") in PAIRS:
        return result
    return result[0].get("value") if isinstance(result[0], dict) else None


def _number(sample: Any, address: str) -> float:
    well_formed = isinstance(sample, list) and len(sample) == 2
    if not well_formed or not isinstance(sample[0], int | float):
        raise TemporaryError(f"{address} answered without an instant value; is it a range query?")
    try:
        value = float(sample[1])
    except (TypeError, ValueError):
        said = web.cut(repr(sample[1]))
        raise TemporaryError(f"{address} answered {said}, which is not a number") from None
    if math.isnan(value) or math.isinf(value):
        raise TemporaryError(
            f"{address} answered {sample[1]}, which is not a usable number; "
            "append `>= 0` to the query, so that no requests are no data"
        )
    return value
