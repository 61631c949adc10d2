"""The metrics sources: a Prometheus or a JSON API, with credentials where a query names a Secret.

Called by `measure`, one query at a time. Whatever goes wrong is a TemporaryError with a sentence
that holds no secret, since it ends up in statuses and logs.
"""

from fleet.clusters.web import Denied, Web
from fleet.errors import PermanentError, TemporaryError, Unanswered
from fleet.kulta.core.observed import Query
from fleet.kulta.runtime.credentials import OPEN, Credentials
from fleet.kulta.runtime.jsonapi import JsonApi
from fleet.kulta.runtime.prometheus import PrometheusSource

TIMEOUT_SECONDS = 10.0


class Sources:
    """`measure.Source` for all kinds. Every query ends within `timeout` seconds (at most 10), the
    reading of a Secret aside."""

    def __init__(
        self, net: Web, credentials: Credentials, *, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        seconds = min(timeout, TIMEOUT_SECONDS)
        self._prometheus = PrometheusSource(net, timeout=seconds)
        self._json = JsonApi(net, timeout=seconds)
        self._credentials = credentials

    async def query(self, namespace: str, query: Query) -> float | None:
        """The number; None when there is no data. The Secret is one of `namespace`."""
        access = await self._credentials.of(namespace, query.secret) if query.secret else OPEN
        try:
            if query.path:
                return await self._json.query(query.address, query.path, access)
            return await self._prometheus.query(query.address, query.text, access)
        except Unanswered as error:
            raise Unanswered(access.blackened(str(error))) from None
        except Denied as error:
            self._credentials.forget(namespace, query.secret)
            raise TemporaryError(access.blackened(str(error))) from None
        except (TemporaryError, PermanentError) as error:
            raise TemporaryError(access.blackened(str(error))) from None
