"""The hub's own token in a member, renewed: asked for there, kept in the Secret here.

`membership` calls `renew`. A kubeconfig that holds something else than our own account's token is
never touched.
"""

import base64

from fleet.api.names import ENGINE_NAMESPACE, SECRETS, Key
from fleet.clusters import tokens
from fleet.clusters.client import Client
from fleet.errors import Conflict
from fleet.ports import Kube


async def renew(hub: Kube, member: Client, where: Key, key: str) -> None:
    """Ask the member for a new token and put it into the Secret `where` under `key`.

    Raises Conflict when somebody wrote the Secret meanwhile, and what the two API servers raise.
    The Secret's change, not this call, makes the hub use the token.
    """
    token, _ = await member.token_request(tokens.ACCOUNT, ENGINE_NAMESPACE, tokens.SECONDS)
    secret = await hub.get(SECRETS, where[1], where[0])
    text = tokens.decoded(secret, key)
    if text is None or member.config.token is None:
        raise Conflict(f"the Secret {'/'.join(where)} does not hold the token in use any more")
    changed = tokens.replaced(text, member.config.token, token)
    body = {
        "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
        "data": {key: base64.b64encode(changed.encode()).decode()},
    }
    await hub.patch(SECRETS, where[1], where[0], body)
