"""The process's own API server, from its settings, and the Lease there; for `engine` and `hub`."""

from fleet import __version__
from fleet.api.names import VERSION
from fleet.clusters import config
from fleet.clusters.client import Client
from fleet.clusters.config import ClientConfig
from fleet.clusters.health import Breaker
from fleet.clusters.lease import Alone, Candidate, Elector, LeaseName
from fleet.clusters.transport import Session
from fleet.errors import UserError
from fleet.ports import Clock
from fleet.settings import Connection, Settings

RENEW_SECONDS = 5.0


def own(connection: Connection) -> ClientConfig:
    """The connection that the settings name. Raises UserError where they name none."""
    if connection.kubeconfig is not None:
        return config.load_kubeconfig(connection.kubeconfig)
    if connection.service is not None:
        return config.in_cluster(*connection.service)
    raise UserError(
        "InvalidSettings", "no API server is known: set KUBECONFIG, or run in a pod of the cluster"
    )


def elector(
    settings: Settings,
    config: ClientConfig,
    session: Session,
    clock: Clock,
    lease: str,
    user_agent: str,
) -> Alone | Elector:
    """Who decides whether this process leads, by the Lease of that name."""
    if not settings.leader_election:
        return Alone()
    # A client of its own: a renewal waits for no other request, and retries by itself.
    kube = Client(
        "lease",
        config,
        session,
        timeout=5.0,
        attempts=1,
        user_agent=user_agent,
        breaker=Breaker(base=1.0, cap=2.0),
    )
    me = Candidate(
        identity=settings.identity,
        process=settings.process,
        annotations={VERSION: __version__},
    )
    where = LeaseName(namespace=settings.namespace, name=lease)
    return Elector(kube, clock, where, me, period=RENEW_SECONDS)


def overdue(elector: Alone | Elector) -> str | None:
    """What is wrong with leading, for the process's health; None when nothing is."""
    return "it is lost, and the work goes on" if elector.is_overdue else None
