"""`make bench`: figures beside their goals, as a table, and as JSON in build/bench.json.

    python -m e2e.bench                            # all but idle, hub, peers; engine: 50, 200
    python -m e2e.bench engine --rollouts 500      # one of them
    python -m e2e.bench idle                       # what 5,000 idle Rollouts cost; takes minutes
    python -m e2e.bench planner                    # what one decision costs; no cluster
    python -m e2e.bench experiments                # how honest an A/B verdict is; no cluster
    python -m e2e.bench change --members 20 -o json
    python -m e2e.bench hub --fleet 10 100 1000    # scale: a real hub, members that are simulated
    python -m e2e.bench peers --rollouts 50        # Argo Rollouts and our engine in the same run

The exit code is 0 whatever the figures are: a benchmark is no test, and a busy machine no fault.
"""

import argparse
import asyncio
import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from e2e.bench import delivery, engine, experiments, figures, hub, peers, planner
from e2e.bench.figures import Figure
from e2e.ground import binaries

NAMES = ("change", "verdict", "halt", "experiments", "planner", "engine", "idle", "hub", "peers")
DEFAULT = ("change", "verdict", "halt", "experiments", "planner", "engine")
FLEET_CHANGES = 5
"""Most changes that go through a whole simulated fleet."""
PURE = {"experiments", "planner"}
"""These need no cluster."""
SIZES = (10, 100, 1_000)
FILE = Path(__file__).parents[2] / "build" / "bench.json"


def main() -> None:
    """Measure what is named, show it, keep it."""
    chosen = _options()
    if set(chosen.names) - PURE:
        binaries.ready()
    said = Console(stderr=True, highlight=False)
    load = os.getloadavg()[0]
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="kulta-bench-") as folder:
        for title, work in _works(chosen, Path(folder)):
            said.print(f"{title} …", style="dim")
            found += work()
    report = {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
        "figures": [figure.manifest() for figure in found],
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(report, indent=1) + "\n")
    if chosen.output == "json":
        print(json.dumps(report))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 180)
    figures.show(found, console)
    console.print(f"{os.cpu_count()} cores, load {load:.1f} before; {FILE}", style="dim")


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}")
    options.add_argument("--members", type=int, default=3, help="members of the hub")
    options.add_argument("--changes", type=int, default=30, help="changes of the Application")
    options.add_argument("--halts", type=int, default=20, help="failures that halt a run")
    options.add_argument(
        "--rollouts", type=int, nargs="+", default=[50, 200], help="Rollouts of the engine"
    )
    options.add_argument("--idle", type=int, default=5_000, help="idle Rollouts of the engine")
    options.add_argument(
        "--fleet", type=int, nargs="+", default=[10, 100], help="simulated members of the hub"
    )
    options.add_argument("--applications", type=int, default=10, help="in each simulated member")
    options.add_argument("-o", "--output", choices=("table", "json"), default="table")
    chosen = options.parse_args()
    for name in chosen.names:
        if name not in NAMES:
            options.error(f"{name!r} is no benchmark: choose of {', '.join(NAMES)}")
    chosen.names = chosen.names or list(DEFAULT)
    return chosen


Work = Callable[[], list[Figure]]


def _works(chosen: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Work]]:
    wanted = set(chosen.names)
    if wanted & {"change", "verdict", "halt"}:
        changes = chosen.changes if wanted & {"change", "verdict"} else 0
        halts = chosen.halts if "halt" in wanted else 0
        place = folder / "delivery"
        yield (
            f"delivery: {changes} changes, {halts} halts, {chosen.members} members",
            lambda: asyncio.run(
                delivery.measure(place, chosen.members, changes=changes, halts=halts)
            ),
        )
    if "experiments" in wanted:
        yield "experiments: 10,000 of each kind", experiments.measure
    if "planner" in wanted:
        yield "planner: 10, 100 and 1,000 clusters", lambda: planner.measure(SIZES)
    for name, work in (("engine", engine.busy), ("peers", peers.measure)):
        for number in chosen.rollouts if name in wanted else ():
            place = folder / f"{name}-{number}"
            yield f"{name}: {number} Rollouts", functools.partial(work, place, number)
    if "idle" in wanted:
        place = folder / "idle"
        yield (
            f"engine: {chosen.idle} idle Rollouts",
            functools.partial(engine.idle, place, chosen.idle),
        )
    if "hub" in wanted:
        for number in chosen.fleet:
            place = folder / f"hub-{number}"
            yield (
                f"hub: {number} simulated members, {chosen.applications} Applications in each",
                functools.partial(_fleet, place, number, chosen.applications, chosen.changes),
            )


def _fleet(folder: Path, number: int, applications: int, changes: int) -> list[Figure]:
    most = min(changes, FLEET_CHANGES)
    return asyncio.run(hub.measure(folder, number, applications, most))


if __name__ == "__main__":
    main()
