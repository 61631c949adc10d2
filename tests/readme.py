"""The parts of the README that are generated: `python -m tests.readme` writes them anew.

`test_readme` compares. Each block stands between `<!-- name:begin -->` and `<!-- name:end -->`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fleet import settings
from fleet.api import reasons
from fleet.api.fleetrollout import RunPhase
from fleet.hub.core import phases as runs
from fleet.kulta.core.messages import cdevents, occurrences
from fleet.telemetry import metrics

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def metric_table() -> str:
    """Every metric with type, labels and meaning."""
    return table(
        ("metric", "type", "labels", "meaning"),
        (
            (f"`{m.name}`", m.type, ", ".join(f"`{x}`" for x in m.labels) or "–", m.help)
            for m in (*metrics.HUB, *metrics.ENGINE)
        ),
    )


def reason_table() -> str:
    """Every reason with its sentence."""
    rows = ((f"`{name}`", text) for name, text in reasons.SENTENCES.items())
    return table(("reason", "meaning"), rows)


def relabel() -> str:
    """The documented relabelling, verbatim: tests and the demo run this file."""
    return f"```yaml\n{(ROOT / 'examples/prometheus-relabel.yaml').read_text().rstrip()}\n```"


def phase_table() -> str:
    """The run's phases and their legal moves, from the table that the hub obeys."""
    return table(
        ("a run that is", "may become"),
        (
            (f"`{start.value}`", ", ".join(f"`{end.value}`" for end in RunPhase if end in ends))
            for start, ends in runs.RUN_MOVES.items()
            if ends
        ),
    )


def variable_table() -> str:
    """Every variable of the environment."""
    return table(
        ("variable", "default", "used by", "meaning"),
        (
            (" or ".join(f"`{name}`" for name in v.names), v.default, v.role, v.meaning)
            for v in settings.VARIABLES
        ),
    )


def event_table() -> str:
    """What is told when: CDEvents, and the occurrences of each phase."""
    strategies = ", ".join(f"`{prefix}`" for prefix in occurrences.PREFIXES.values())
    events = table(
        ("when", "CDEvent", "subject", "`decision.reason`"),
        (
            (
                kind.when,
                f"`{kind.type}`",
                f"`/rollouts/<name>/{kind.subject}`",
                ", ".join(f"`{word}`" for word in cdevents.words(kind)),
            )
            for kind in cdevents.KINDS
        ),
    )
    phases = table(
        ("the Rollout is now", "occurrence", "severity", "outcome"),
        (
            (f"`{phase.value}`", f"`<strategy>.rollout.{k.suffix}`", k.severity, k.outcome)
            for phase, k in occurrences.KINDS.items()
        ),
    )
    return f"{events}\n\nThe strategy is one of {strategies}.\n\n{phases}"


def rollout_picture() -> str:
    """What `fleet rollout get` draws, as the tests have read it."""
    picture, _, _ = _drawn().partition("\n\nREVISION")
    return f"```text\n{picture}\n```"


def rollout_forecast() -> str:
    """What `fleet rollout explain` says of the same."""
    start = _drawn().index("checkout goes on with")
    return f"```text\n{_drawn()[start:].rstrip()}\n```"


def _drawn() -> str:
    return (ROOT / "tests/golden/rollouts/paused.txt").read_text()


BLOCKS: Mapping[str, Callable[[], str]] = {
    "phases": phase_table,
    "relabel": relabel,
    "rollout": rollout_picture,
    "forecast": rollout_forecast,
    "variables": variable_table,
    "events": event_table,
    "metrics": metric_table,
    "reasons": reason_table,
}


def regenerated(text: str) -> str:
    """`text` with every block as it should be. Raises ValueError for a block that is not there."""
    for name, make in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"README.md has no block {name}")
        body = make() + "\n"
        text = pattern.sub(lambda found, body=body: found[1] + body + found[2], text)
    return text


if __name__ == "__main__":
    README.write_text(regenerated(README.read_text()))
