"""A metrics source that answers a GET with JSON: one request, one number.

Called by `sources`; addresses come from users, so `web` judges and bounds every call. Nothing is
retried: the next check comes by itself.
"""

import math

import orjson

from fleet.clusters import web
from fleet.clusters.web import Call, Web
from fleet.errors import TemporaryError
from fleet.kit import jsonpath
from fleet.kulta.runtime.credentials import OPEN, Access


class JsonApi:
    """Every query ends within `timeout` seconds."""

    def __init__(self, net: Web, *, timeout: float) -> None:
        self._web = net
        self._timeout = timeout

    async def query(self, url: str, path: str, access: Access = OPEN) -> float | None:
        """The number at `path`, None where there is nothing. Raises TemporaryError or
        PermanentError with a sentence for anything else."""
        name = web.shown(url)
        call = Call(
            method="GET",
            url=url,
            name=name,
            headers={"Accept": "application/json", **access.headers},
            authority=access.authority,
            seconds=self._timeout,
        )
        answer = await self._web.ask(call)
        web.admit(answer, name)
        web.check(answer, name)
        return parse(answer.body, path, name)


def parse(body: bytes, path: str, name: str) -> float | None:
    """The number at `path` of what `name` answered. Raises TemporaryError."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise TemporaryError(f"{name} answered with something that is not JSON") from None
    found = jsonpath.pick(said, jsonpath.parse(path))
    if found is None:
        return None
    try:
        value = math.nan if isinstance(found, bool) else float(found)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise TemporaryError(
            f"{name} answered {web.cut(repr(found))} at {path}, which is not a number"
        )
    return value
