"""What the runtime does with a ClusterRollout that leaves: a write of its spec, or its deletion."""

from datetime import datetime

from fleet.api import ClusterRollout
from fleet.hub.core.actions import PruneCluster, SetDeletion


def told(item: ClusterRollout, action: SetDeletion | PruneCluster, now: datetime) -> ClusterRollout:
    """The ClusterRollout after that write."""
    match action:
        case SetDeletion():
            spec = item.spec.model_copy(update={"deletion": action.deletion})
            return item.model_copy(update={"spec": spec})
        case PruneCluster():
            assert action.uid == item.metadata.uid
            meta = item.metadata.model_copy(update={"deletion_timestamp": now})
            return item.model_copy(update={"metadata": meta})
