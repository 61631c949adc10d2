"""The ground of the session: built once, started once, shared by all tests that can share it.

Parts are built before the first test, outside of any time-out. Tests here run after the pure ones.
A test that only needs an API server takes `plane` and a `namespace` of its own; one that needs pods
bound, several clusters or special flags takes `planes`, which starts each name once per file; one
that needs pods that run and answer takes `site`.

Files that share a ground are a group (`groups`): several workers each take whole groups, so nothing
is started twice. A ground ends with its group: one that idles would still cost a part of a core.
"""

import itertools
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from e2e import court as courts
from e2e import groups, quiet, tenancy
from e2e import realm as realms
from e2e import replicas as pairs
from e2e.ground import background, engine, seclusion
from e2e.ground import binaries as parts
from e2e.ground import hub as hubs
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.flags import AuditPolicy
from e2e.ground.images import Image, table
from e2e.ground.planes import Planes
from e2e.ground.site import Site
from e2e.tenancy import World
from tests import profiles
from tests.strictness import pytest_sessionfinish

__all__ = ["profiles", "pytest_sessionfinish"]

HERE = Path(__file__).parent
TIME_OUT = 600
BODIES = AuditPolicy(
    bodies=(
        "rollouts.kulta.io",
        "fleetrollouts.fleet.kulta.io",
        "clusterrollouts.fleet.kulta.io",
        "replicasets.apps",
    )
)
PLAYED = ("rollouts.kulta.io", "replicasets.apps", "leases.coordination.k8s.io")
LEAN = Options(controller_manager=False, scheduler=False, audit=BODIES)
SAMPLE = (sys.executable, "-I", "-S", str(HERE / "sample" / "app.py"), "{tag}")
IMAGES = table(
    {
        "kulta-fleet": Image(argv=(sys.executable, "-m", "fleet"), cwd=HERE.parent),
        "sample": SAMPLE,
        "registry.example.com/orders": SAMPLE,
        "registry.example.com/mailer": SAMPLE,
        "registry.example.com/billing": SAMPLE,
        "registry.example.com/search": SAMPLE,
        "python": (sys.executable,),
        "shell": ("/bin/sh",),
    }
)
"""What the pods of `site` can run."""

MEMBERS = ("east", "north", "west")
"""The members of `world`."""
TENANTS = 48
"""How many tenants `world` can have."""

NETLESS = seclusion.refusal()
"""Why this user may not make a network namespace; without one Contour is not asked."""
collect_ignore_glob = ["test_contour*.py", "test_seclusion.py"] if NETLESS else []

_numbers = itertools.count(1)
_grounds = ExitStack()
"""What the group of the moment has started."""


def pytest_report_header() -> str | None:
    """Say it when the files of Contour are left out."""
    if not NETLESS:
        return None
    how = "be root, or start them with `unshare -rn`"
    return f"left out: {collect_ignore_glob}, no network namespace can be made ({NETLESS}): {how}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests of this folder last, by groups, and give each a time-out that suits real
    processes."""
    here = [item for item in items if _is_here(item)]
    needs: dict[str, set[str]] = {}
    for item in here:
        needs.setdefault(item.path.stem, set()).update(_ours(item))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_OUT))
    for file, fixtures in needs.items():
        if wrong := groups.misplaced(file, frozenset(fixtures)):
            raise pytest.UsageError(wrong)
    items.sort(key=lambda item: groups.order(item.path.stem) if _is_here(item) else -1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> groups.Groups:
    """Workers take whole groups, in their order."""
    config.option.loadscopereorder = False
    return groups.Groups(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before a test's clock runs."""
    if session.config.option.collectonly or not any(map(_is_here, session.items)):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        judged = any("court" in _ours(item) for item in session.items if _is_here(item))
        parts.ready(*(parts.ALL if judged else parts.DEFAULT))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the ground of a group after its last test."""
    if nextitem is None or groups.group(nextitem.path.stem) != groups.group(item.path.stem):
        _grounds.close()


def _ours(item: pytest.Item) -> set[str]:
    """The fixtures of this file that a test needs; a file may have its own of the same name."""
    found = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return {name for name, all_of_it in found.items() if all_of_it[-1].baseid == HERE.name}


def _is_here(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE)


@pytest.fixture(scope="session", autouse=True)
def _end() -> Iterator[None]:
    """End the last ground, also where a run is broken off."""
    yield
    _grounds.close()


@pytest.fixture(scope="session")
def binaries() -> dict[str, Path]:
    """The real parts by name."""
    return parts.ready()


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planes]:
    """Control planes by name, each started once, all ended together after the file's last test."""
    with Planes(tmp_path_factory.mktemp("planes")) as started:
        yield started


def _shared(
    folders: pytest.TempPathFactory, *names: str, options: Options
) -> tuple[ControlPlane, ...]:
    """Control planes that live as long as the group."""
    return _grounds.enter_context(Planes(folders.mktemp("shared")))(*names, options=options)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> ControlPlane:
    """The shared control plane: API server and controllers, no scheduler, bodies of ours logged."""
    options = Options(scheduler=False, audit=BODIES)
    (plane,) = _shared(tmp_path_factory, "shared", options=options)
    return plane


@pytest.fixture(scope="session")
def our_kinds(plane: ControlPlane) -> ControlPlane:
    """The shared control plane with our CRDs, installed as the README says."""
    plane.kubectl("apply", "-f", str(HERE.parent / "crds"))
    plane.await_crds()
    return plane


@pytest.fixture(scope="session")
def kwok(tmp_path_factory: pytest.TempPathFactory) -> ControlPlane:
    """The shared control plane whose pods become ready at once; Rollouts are defined, routes not
    yet. One engine at a time runs beside it: that of the test or its file."""
    options = Options(kwok_nodes=1, audit=AuditPolicy(bodies=PLAYED))
    (plane,) = _shared(tmp_path_factory, "kwok", options=options)
    engine.prepare(plane)
    return plane


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    """A new namespace of the shared plane."""
    return plane.add_namespace(f"test-{next(_numbers)}")


@pytest.fixture
def place(kwok: ControlPlane, request: pytest.FixtureRequest) -> str:
    """A new namespace beside the pods that are played, named after the file."""
    name = request.path.stem.removeprefix("test_").replace("_", "-")
    return kwok.add_namespace(f"{name}-{next(_numbers)}")


@pytest.fixture(scope="session")
def newcomers(tmp_path_factory: pytest.TempPathFactory) -> tuple[ControlPlane, ControlPlane]:
    """A hub, and a member that it does not know; nothing runs in them."""
    hub, member = _shared(tmp_path_factory, "home", "newcomer", options=LEAN)
    hubs.prepare(hub)
    return hub, member


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The shared hub with three members whose engines are puppets."""
    plane, *others = _shared(tmp_path_factory, "fleet-hub", *MEMBERS, options=LEAN)
    folder = tmp_path_factory.mktemp("hub")
    return _grounds.enter_context(tenancy.running(plane, tuple(others), folder, TENANTS))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The shared cluster with pods, traffic and metrics; it runs on while a test blocks."""
    made = Site("site", tmp_path_factory.mktemp("site"), images=IMAGES)
    return _grounds.enter_context(background.running(made))


@pytest.fixture(scope="session")
def replicas(site: Site) -> pairs.Replicas:
    """Two replicas of the engine in the shared cluster, from the first test that needs them on."""
    return _grounds.enter_context(pairs.begun(site))


@pytest.fixture(scope="session")
def realm(tmp_path_factory: pytest.TempPathFactory) -> realms.Realm:
    """The shared hub with members whose engines are real."""
    return _grounds.enter_context(realms.running(tmp_path_factory.mktemp("realm"), IMAGES))


@pytest.fixture(scope="session")
def court(tmp_path_factory: pytest.TempPathFactory) -> courts.Court:
    """Contour and the local gateway side by side, in a network of their own; whoever uses it and
    what starts meanwhile is in that network too."""
    return _grounds.enter_context(courts.sitting(tmp_path_factory.mktemp("court"), IMAGES))


@pytest.fixture(scope="session")
def minute(realm: realms.Realm) -> quiet.Minute:
    """A minute of silence, which has begun."""
    return _grounds.enter_context(quiet.begun(realm))
