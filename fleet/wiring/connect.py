"""The process's own API server, from its settings. Used by `engine` and `hub`."""

from fleet.clusters import config
from fleet.clusters.config import ClientConfig
from fleet.errors import UserError
from fleet.settings import Connection


def own(connection: Connection) -> ClientConfig:
    """The connection that the settings name. Raises UserError where they name none."""
    if connection.kubeconfig is not None:
        return config.load_kubeconfig(connection.kubeconfig)
    if connection.service is not None:
        return config.in_cluster(*connection.service)
    raise UserError(
        "InvalidSettings", "no API server is known: set KUBECONFIG, or run in a pod of the cluster"
    )
