"""Whole lists of what kopf watches: once before anything is decided, and now and then afterwards.

Run by `wiring.hub`; `named` is for whoever works a key. kopf does not tell when its first list is
complete, and not what vanished while it was not watching; a list does both.
"""

import asyncio
import logging
import random
from typing import Any

from fleet.api.names import Key
from fleet.clusters.client import Client
from fleet.clusters.store import Store
from fleet.errors import FleetError
from fleet.hub.runtime.context import Stores
from fleet.ports import Kube

EVERY_SECONDS = 600.0
RETRY_SECONDS = 2.0
DOUBT_SECONDS = 1.0
"""Doubts come in crowds."""

log = logging.getLogger(__name__)


async def prime(kube: Client, stores: Stores) -> None:
    """Fill all stores, however long the API server takes to answer."""
    for store in stores.watched:
        while True:
            try:
                await relist(kube, store)
                break
            except FleetError as error:
                kind = store.resource.plural
                log.warning("cannot be listed", extra={"resource": kind, "why": str(error)})
                await asyncio.sleep(RETRY_SECONDS)


async def keep(kube: Client, stores: Stores) -> None:
    """Compare every ten minutes, and when somebody doubts, until cancelled; a list that fails
    waits for the next time."""
    while True:
        if await stores.doubt.sleep(EVERY_SECONDS * random.uniform(0.8, 1.2)):
            await asyncio.sleep(DOUBT_SECONDS)
        for store in stores.watched:
            try:
                await relist(kube, store)
            except FleetError as error:
                log.warning(
                    "cannot be compared",
                    extra={"resource": store.resource.plural, "why": str(error)},
                )


async def relist(kube: Client, store: Store[Any]) -> None:
    """Make `store` what the API server has. Raises what the API server raises."""
    since = store.moment
    store.replace(await kube.list(store.resource), since)


async def named(kube: Kube, store: Store[Any], key: Key) -> None:
    """Read an object that is named somewhere and that our view lacks: kinds are watched apart, so
    it may be late. Nothing is asked where `key` has no name. Raises what the API server raises."""
    if not key[1] or key in store:
        return
    since = store.moment
    by_name = f"metadata.name={key[1]}"
    for found in await kube.list(store.resource, key[0], field_selector=by_name):
        store.correct(key, found, since)
