"""One Application, at one revision, for one member: all that a rendering is made of but templates.

Made by whoever wants to know what a member gets; read by `render` and `context`, and by the hub's
`renders`, whose keys are made of it. It says nothing of whether, or when, anybody gets it.
"""

from dataclasses import dataclass

from fleet.api import Fleet, MemberCluster
from fleet.api.fleetrollout import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """See the module."""

    application: Snapshot
    namespace: str
    """The Application's on the hub."""
    cluster: MemberCluster
    fleet: Fleet
    revision: str
