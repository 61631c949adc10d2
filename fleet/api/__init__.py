"""The nouns: the kinds of both API groups as models, their names, conditions and reasons."""

from fleet.api.application import Application
from fleet.api.clusterrollout import ClusterRollout
from fleet.api.fleet import Fleet
from fleet.api.fleetrollout import FleetRollout
from fleet.api.membercluster import MemberCluster
from fleet.api.rollout import Rollout

__all__ = [
    "Application",
    "ClusterRollout",
    "Fleet",
    "FleetRollout",
    "MemberCluster",
    "Rollout",
]
