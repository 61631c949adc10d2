"""Which changes of the two cores no test notices (`make mutants`).

    python -m e2e.mutants --sample 400                   # a seeded sample of both cores
    python -m e2e.mutants 'fleet.kulta.core.facts.replicas*'   # every mutant of one module
    python -m e2e.mutants --processes 2 --seed 7

The pure tests decide, without the searches. They are collected once; every mutant is a fork of that
process in which one function has its changed code, and in which the tests that reach the changed
statement run one by one: first what has killed a neighbour, then the short ones, until one fails.
A test that takes twenty times its usual time of the processor, and two seconds, is a time-out.

Survivors that are known stand in `survivors.txt` with their reasons, named by the lines they
change and not by numbers. The exit code is 1 if fewer than 85 % are killed, or if one survives that
does not stand there although its module has been looked at whole.
"""

import argparse
import fnmatch
import math
import os
import pickle
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest
from _pytest.runner import runtestprotocol

from e2e.mutants import making
from e2e.mutants.making import Function, Mutant, Place
from tests.sources import ROOT

CORES = {
    "fleet/kulta/core": (
        "tests/kulta/core",
        "tests/stories/test_engine_*.py",
        "tests/cli/rollouts",
    ),
    "fleet/hub/core": ("tests/hub/core", "tests/stories/test_hub_*.py"),
    "fleet/api/faults": (
        "tests/api/test_faults.py",
        "tests/hub/core/application",
        "tests/kulta/core/feedback",
    ),
}
"""The tests that decide about each core, and about the rules that they share."""
KNOWN = Path(__file__).with_name("survivors.txt")
WHOLE = " whole"
ENOUGH = 0.85
MEMORY = 4 * 2**30
"""Bytes a mutant may take."""
KILLED, TIMED_OUT, SURVIVED = "killed", "timed out", "survived"


@dataclass(slots=True)
class Trial:
    """One test, the seconds of the processor it takes, and the statements it reaches."""

    item: pytest.Item
    seconds: float = 0.0
    reached: frozenset[Place] = frozenset()

    def passes(self) -> bool:
        reports = runtestprotocol(self.item, log=False, nextitem=None)
        return not any(report.failed for report in reports)


@dataclass(slots=True)
class Hunt:
    """A plugin of pytest that hunts mutants where tests would run."""

    mutants: Sequence[Mutant]
    processes: int
    seconds: float
    """Of tests for each mutant."""
    ends: dict[Mutant, str] = field(default_factory=dict)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        trials = _measured([Trial(item) for item in session.items], self.mutants)
        hunters: dict[Place, list[Trial]] = defaultdict(list)
        for trial in sorted(trials, key=lambda trial: trial.seconds):
            for place in trial.reached:
                hunters[place].append(trial)
        for mutant, end in self._hunted(hunters):
            self.ends[mutant] = end
            if end == SURVIVED:
                print(
                    f"survived after {len(self.ends)} of {len(self.mutants)}: {mutant}", flush=True
                )
        return True

    def _hunted(self, hunters: Mapping[Place, list[Trial]]) -> Iterator[tuple[Mutant, str]]:
        """Each mutant with its end; at most so many processes at a time."""
        running: dict[int, tuple[Mutant, int]] = {}
        waiting = iter(self.mutants)
        while True:
            while len(running) < self.processes and (mutant := next(waiting, None)):
                reader, writer = os.pipe()
                if not (pid := os.fork()):
                    _kill(mutant, hunters[mutant.place], self.seconds, writer)
                os.close(writer)
                running[pid] = mutant, reader
            if not running:
                return
            pid, status = os.wait()
            mutant, reader = running.pop(pid)
            with os.fdopen(reader, "rb") as file:
                killer = file.read()
            if killer:
                trials = hunters[mutant.place]
                trials.insert(0, trials.pop(int(killer)))
            yield mutant, KILLED if killer else TIMED_OUT if os.WIFSIGNALED(status) else SURVIVED


def _kill(mutant: Mutant, trials: Iterable[Trial], seconds: float, writer: int) -> NoReturn:
    """In a process of its own: say the number of the first test that fails."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    making.replace(mutant.module, mutant.function, mutant.source)
    for number, trial in enumerate(trials):
        signal.setitimer(signal.ITIMER_PROF, 2 + 20 * trial.seconds)
        if not trial.passes():
            os.write(writer, str(number).encode())
            break
        if (seconds := seconds - trial.seconds) < 0:
            break
    os._exit(0)


def _measured(trials: list[Trial], mutants: Iterable[Mutant]) -> list[Trial]:
    """Each test once, in a process of its own, so that nothing of it is left in ours."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        seen = making.watched(mutants)
        with os.fdopen(writer, "wb") as file:
            pickle.dump([_tried(trial, seen) for trial in trials], file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        found = pickle.load(file)
    os.waitpid(pid, 0)
    for trial, (seconds, reached, passed) in zip(trials, found, strict=True):
        trial.seconds, trial.reached = seconds, reached
        if not passed:
            sys.exit(f"{trial.item.nodeid} fails without any mutant")
    return trials


def _tried(trial: Trial, seen: set[Place]) -> tuple[float, frozenset[Place], bool]:
    """What an earlier test left in a cache would hide what this one reaches."""
    for name, module in list(sys.modules.items()):
        for value in vars(module).values() if name.startswith("fleet.") else ():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    seen.clear()
    before = time.process_time()
    passed = trial.passes()
    return time.process_time() - before, frozenset(seen), passed


def main() -> None:
    """Hunt what is asked for, and tell."""
    asked = _options()
    functions = [item for core in CORES for item in _wanted(ROOT / core, asked.patterns)]
    sizes = Counter[str]()
    for item in functions:
        sizes[item.module] += len(item.changes)
    chosen = _chosen(functions, asked.sample or sizes.total(), Random(asked.seed))
    if not chosen:
        sys.exit("no function has such a name")
    ends: dict[Mutant, str] = {}
    for core, tests in CORES.items():
        prefix = making.module(ROOT / core)
        if ours := [mutant for mutant in chosen if mutant.module.startswith(prefix)]:
            hunt = Hunt(ours, asked.processes, asked.seconds)
            _collect(hunt, [str(path) for test in tests for path in sorted(ROOT.glob(test))])
            ends |= hunt.ends
    _tell(ends, sizes)
    sys.exit(_judged(ends))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.mutants")
    parser.add_argument("patterns", nargs="*", default=["*"], help="of functions, with module")
    parser.add_argument("--sample", type=int, default=0, help="how many mutants (0: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--processes", type=int, default=1, help="how many mutants at a time")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="of tests for each mutant, then it survived"
    )
    return parser.parse_args()


def _chosen(functions: Sequence[Function], count: int, dice: Random) -> list[Mutant]:
    """So many of all mutants of the functions, in no order."""
    places = [(item, number) for item in functions for number in range(len(item.changes))]
    drawn = defaultdict(set)
    for item, number in dice.sample(places, min(count, len(places))):
        drawn[item.called].add(number)
    found = [
        mutant
        for item in functions
        for number, mutant in enumerate(item.mutants() if item.called in drawn else ())
        if number in drawn[item.called]
    ]
    return dice.sample(found, len(found))


def _wanted(folder: Path, patterns: Sequence[str]) -> Iterator[Function]:
    for path in sorted(folder.rglob("*.py")):
        name = making.module(path)
        starts = [pattern.partition("*")[0] for pattern in patterns]
        if any(x.startswith(name) or name.startswith(x) for x in starts):
            for item in making.functions(path):
                if any(fnmatch.fnmatchcase(item.called, pattern) for pattern in patterns):
                    yield item


def _collect(hunt: Hunt, paths: Iterable[str]) -> None:
    options = ["--quiet", "--no-header", "--assert=plain", "-p", "no:cacheprovider"]
    code = pytest.main([*options, "-m", "not hypothesis", *paths], plugins=[hunt])
    if len(hunt.ends) < len(hunt.mutants):
        sys.exit(f"the tests do not run: {code}")


def _tell(ends: Mapping[Mutant, str], sizes: Mapping[str, int]) -> None:
    """Print a table of the modules."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, end in ends.items():
        table[mutant.module][end] += 1
    print(f"\n{'':44}    all    run killed timed out survived  share")
    for module in sorted(table):
        print(_row(module, sizes[module], table[module]))
    total = Counter(ends.values())
    print(_row("total", sum(sizes.values()), total))
    low, high = _interval(total.total() - total[SURVIVED], total.total())
    print(f"with 95 % confidence {low:.1%} to {high:.1%} of all are killed")


def _row(name: str, size: int, ends: Counter[str]) -> str:
    run = ends.total()
    counts = f"{ends[KILLED]:6} {ends[TIMED_OUT]:9} {ends[SURVIVED]:8}"
    return f"{name:44} {size:6} {run:6} {counts} {1 - ends[SURVIVED] / run:6.1%}"


def _interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's, for a share that was found in a sample."""
    z, share = 1.96, hits / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def _judged(ends: Mapping[Mutant, str]) -> int:
    """Print the survivors that nothing is known about; the exit code."""
    known, whole = _known()
    lost = [mutant for mutant, end in ends.items() if end == SURVIVED]
    new = [mutant for mutant in lost if (mutant.module, mutant.name) not in known]
    module = ""
    for mutant in sorted(new, key=lambda mutant: mutant.called):
        if module != mutant.module:
            module = mutant.module
            print(f"\n[{module}]")
        print(mutant.name)
    print(f"\n{len(lost)} survived, {len(new)} of them without a known reason")
    is_short = len(lost) > (1 - ENOUGH) * len(ends)
    return int(is_short or any(mutant.module in whole for mutant in new))


def _known() -> tuple[set[tuple[str, str]], set[str]]:
    """Survivors that have a reason, and the modules that were looked at whole."""
    found, whole, module = set(), set(), ""
    for line in KNOWN.read_text().splitlines():
        if line.startswith("["):
            module = line.removesuffix(WHOLE).strip("[]")
            whole |= {module} if line.endswith(WHOLE) else set()
        elif line and not line.startswith("#"):
            found.add((module, line))
    return found, whole


if __name__ == "__main__":
    main()
