"""Which files run in one process when several workers share the work: those that share a ground.

pytest's workers take whole groups (`make test` starts them), so that nothing is started twice and
nobody disturbs another's silence. A file that is not named here is a group of its own. Used by
`conftest` only.
"""

from collections.abc import Mapping
from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

SHARED = ("realm", "site", "world", "our_kinds", "newcomers", "kwok")
"""Fixtures that start much and live as long as the session; the group has the fixture's name."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "realm": (
        "test_quiet",  # first: whatever was delivered before might still move
        "test_compat",
        "test_hub_bluegreen",
        "test_removal",
        "test_recovery",
    ),
    "site": (
        "test_engine_bluegreen",
        "test_engine_traffic",
        "test_experiment",
        "test_gateway",
        "test_gateway_status",
        "test_node",
        "test_node_end",
        "test_replicas",  # last: it judges a minute that began with the first
    ),
    "kwok": (
        "test_engine_outputs",
        "test_engine_advisor",
        "test_rollout_cli",
        "test_engine_faults",  # brings the definitions of routes in its midst
        "test_engine",
    ),
    "demo": ("test_demo",),
    "world": (
        "test_hub_cli",
        "test_hub_delivery",
        "test_hub_gates",
        "test_hub_handover",
        "test_hub_members",
        "test_hub_outages",
        "test_hub_rights",
    ),
    "our_kinds": (
        "test_crds",
        "test_explained",
        "test_fencing",
        "test_hub_refusals",
        "test_hub_requests",
        "test_manifests",
        "test_proxy",
        "test_rollout_refusals",
    ),
    "mistakes": ("test_bad_input",),
    "ground": ("test_ground",),
    "newcomers": ("test_cluster_add", "test_cluster_refusals"),
}
"""In the order in which they begin: the longest first. Files run in their order here."""

_PLACES = {file: (group, file) for group, files in GROUPS.items() for file in files}
_ORDER = {file: number for number, file in enumerate(_PLACES)}


def group(file: str) -> str:
    """The group of a file, by its name without `.py`."""
    return _PLACES[file][0] if file in _PLACES else file


def order(file: str) -> int:
    """Where it stands; files of no group come last."""
    return _ORDER.get(file, len(_ORDER))


def misplaced(file: str, fixtures: frozenset[str]) -> str | None:
    """What is wrong with the place of a file whose tests need these fixtures, and what to write."""
    wanted = next((name for name in SHARED if name in fixtures), None)
    if wanted is None or group(file) == wanted:
        return None
    return f"{file} needs {wanted!r}: write it into GROUPS[{wanted!r}] of e2e/groups.py"


class Groups(LoadScopeScheduling):
    """Gives each worker whole groups, in the order of GROUPS."""

    def _split_scope(self, nodeid: str) -> str:
        return group(PurePath(nodeid.partition("::")[0]).stem)
