"""Renderings for commands: as the hub makes them, own templates of tenants with limits.

Used by `fleet render`, `diff`, `plan` and `simulate`, which wait for each. The process in which
these print starts with the first of them, and ends with the command.
"""

import asyncio
import contextlib
from collections.abc import Iterator

from fleet.errors import UserError
from fleet.rendering.delivery import Delivery
from fleet.rendering.environment import TEMPLATES, TemplateSet
from fleet.rendering.render import Rendered, accepted, fault, finished, render, shown
from fleet.wiring.cells import Cells


class Proofs:
    """See the module; made by `opened`."""

    def __init__(self, templates: TemplateSet, runner: asyncio.Runner) -> None:
        self._templates, self._runner = templates, runner
        self._cells = Cells(1)

    def render(self, delivery: Delivery) -> tuple[Rendered, ...]:
        """As `rendering.render.render`. Raises UserError, TemporaryError."""
        own = delivery.application.templates
        if not own:
            return render(self._templates, delivery)
        files = dict(self._templates.replaced(own).files)
        try:
            values = shown(delivery)
            job = self._cells.print(delivery.namespace, files, TEMPLATES, values)
            printed = self._runner.run(job)
            drawn = accepted(printed.documents, values, own=True)
        except UserError as error:
            raise fault(delivery, error) from None
        return finished(delivery, drawn)

    def close(self) -> None:
        """End the process, if there is one."""
        self._runner.run(self._cells.close())


@contextlib.contextmanager
def opened(templates: TemplateSet) -> Iterator[Proofs]:
    """Renderings with these as the hub's templates."""
    with asyncio.Runner() as runner, contextlib.closing(Proofs(templates, runner)) as proofs:
        yield proofs
