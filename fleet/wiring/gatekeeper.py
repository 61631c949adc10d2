"""The hub's way to the HTTP gates of waves: the same judged way out that the engine has.

Made by `hub`, used by the hub's `runtime.hooks` through its port.
"""

import orjson

from fleet.api.meta import Manifest
from fleet.clusters import web
from fleet.clusters.web import Call, Web


class Gatekeeper:
    """See `ports.Gatekeeper`."""

    def __init__(self, way: Web) -> None:
        self._web = way

    async def ask(self, url: str, body: Manifest, seconds: float) -> tuple[int, str]:
        """One POST; raises TemporaryError as the port says."""
        answer = await self._web.ask(
            Call(
                method="POST",
                url=url,
                name=web.site(url),
                seconds=seconds,
                headers={"Content-Type": "application/json"},
                body=orjson.dumps(dict(body)),
            )
        )
        return answer.status, web.cut(answer.body.decode(errors="replace").strip())
