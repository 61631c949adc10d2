"""`fleet rollout …`: one Rollout in one cluster, seen and steered by a person; needs no hub.

One file of `rollouts` per command. What they draw and decide is made by pure modules beside them:
`family` (the objects), `tree`, `header` and `numbers` (the picture), `asking` (may a request act?),
`chronicle` (history), `forecast` (what comes). Commands for a fleet share `access`, `following`,
`page`, `screen` and `tables` with them, and get a folder of their own.
"""

from collections.abc import Callable

import typer

from fleet.cli.rollouts import explain, history, lint, show, undo, verbs

COMMANDS: tuple[Callable[..., None], ...] = (
    show.get,
    show.watch,
    explain.explain,
    history.history,
    *verbs.COMMANDS,
    undo.undo,
    lint.lint,
)

app = typer.Typer(no_args_is_help=True, add_completion=False)

for _command in COMMANDS:
    app.command(_command.__name__)(_command)
