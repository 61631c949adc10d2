"""Which files run in one process when several workers share the work: those that share a ground.

pytest's workers take whole groups (`make test` starts them), so that nothing is started twice and
nobody disturbs another's silence. A file that is not named here is a group of its own. Used by
`conftest` only.
"""

from collections.abc import Mapping
from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

SHARED: Mapping[str, str] = {
    "plane": "realm",
    "realm": "realm",
    "our_kinds": "realm",
    "site": "site",
    "world": "world",
    "newcomers": "newcomers",
    "kwok": "kwok",
    "court": "contour",
}
"""Fixtures that start much and live as long as their group; which that is."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "realm": (
        "test_standstill",  # first: whatever was delivered before might still move
        "test_crds",  # these have a plane of their own, and the minute to themselves
        "test_explained",
        "test_fencing",
        "test_hub_refusals",
        "test_hub_requests",
        "test_manifests",
        "test_proxy",
        "test_rollout_refusals",
        "test_quiet",  # it judges the minute that began with the first
        "test_compat",
        "test_hub_bluegreen",
        "test_removal",
        "test_recovery",
    ),
    "kwok": (
        "test_engine_outputs",
        "test_engine_advisor",
        "test_rollout_cli",
        "test_engine_life",
        "test_engine_faults",  # brings the definitions of routes in its midst
        "test_engine",
        "test_engine_perturbed",
        "test_engine_chaos",
    ),
    "world": (
        "test_hub_perturbed",  # first: each start of the hub connects it to all tenants so far
        "test_hub_back",
        "test_hub_cli",
        "test_hub_clocks",
        "test_hub_delivery",
        "test_hub_gates",
        "test_hub_handover",
        "test_hub_leaving",
        "test_hub_members",
        "test_hub_outages",
        "test_hub_rights",
        "test_hub_templates",
        "test_hub_weight",
        "test_hub_restored",  # last: an API server that starts refuses, and rights are judged
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
    "contour": ("test_contour", "test_contour_rollouts"),
    "demo": ("test_demo",),
    "mistakes": ("test_bad_input",),
    "newcomers": ("test_cluster_add", "test_cluster_refusals"),
    "ground": ("test_ground", "test_seclusion"),
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
    if wanted is None or group(file) == SHARED[wanted]:
        return None
    return f"{file} needs {wanted!r}: write it into GROUPS[{SHARED[wanted]!r}] of e2e/groups.py"


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each worker whole groups, in the order of GROUPS."""

    def _split_scope(self, nodeid: str) -> str:
        return group(PurePath(nodeid.partition("::")[0]).stem)
