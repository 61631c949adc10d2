"""Renderings, kept: one Application for one member costs milliseconds and is asked for often.

Used by `observe`. What goes into a key is all that a rendering depends on, so an entry is never
wrong, only old and then unused. Errors are kept too: they are as certain as manifests. Where an
Application has templates of its own, `drafts` prints them aside.
"""

from collections import OrderedDict

from fleet.api import MemberCluster
from fleet.api.application import ApplicationSpec
from fleet.api.names import Key
from fleet.errors import UserError
from fleet.hub.core.application import validation
from fleet.hub.core.observed import Rendered
from fleet.hub.runtime.drafts import Drafts
from fleet.rendering import overrides
from fleet.rendering.delivery import Delivery
from fleet.rendering.environment import TemplateSet
from fleet.rendering.render import draft, render

MOST = 2_000
"""Renderings kept; about 20 KB each."""

_Key = tuple[object, ...]


class Renders:
    """A bounded cache before `rendering.render`."""

    def __init__(self, templates: TemplateSet, drafts: Drafts) -> None:
        self.templates, self.drafts = templates, drafts
        self._kept: OrderedDict[_Key, tuple[Rendered, ...] | UserError] = OrderedDict()
        self._checked: dict[Key, dict[int, str]] = {}

    def check(self, owner: Key) -> "Check":
        """Ask for errors only: what is known of that Application's renderings counts, also where
        the renderings themselves are not kept any more."""
        return Check(self, self._checked.pop(owner, {}), self._checked.setdefault(owner, {}))

    def forget(self, owner: Key) -> None:
        """The Application is gone."""
        self._checked.pop(owner, None)

    def render(self, delivery: Delivery) -> tuple[Rendered, ...]:
        """As `rendering.render.render`. Raises UserError; Unrendered where own templates of the
        Application are to be printed first."""
        if delivery.application.templates:  # kept by `drafts`, which knows how large it may be
            return self._drafted(delivery)
        key = key_of(delivery)
        if key not in self._kept:
            try:
                found: tuple[Rendered, ...] | UserError = render(self.templates, delivery)
            except UserError as error:
                found = UserError(error.reason, str(error))  # without what its traceback holds
            self._kept[key] = found
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        result = self._kept[key]
        if isinstance(result, UserError):
            raise UserError(result.reason, str(result))
        return result

    def _drafted(self, delivery: Delivery) -> tuple[Rendered, ...]:
        begun, application = draft(delivery), delivery.application
        owner = (delivery.namespace, application.name)
        try:
            drawn = self.drafts.find(owner, application.templates, begun.values)
        except UserError as error:
            raise begun.fault(error) from None
        return begun.finished(drawn)


class Check:
    """One round of questions about an Application; what is not asked for in it is forgotten."""

    def __init__(self, renders: Renders, before: dict[int, str], after: dict[int, str]) -> None:
        self._renders, self._before, self._after = renders, before, after
        self.tried = 0
        """Renderings that were made for it."""
        self._overridden: dict[tuple[int, ...], str] = {}

    def error(self, delivery: Delivery) -> str:
        """Why it cannot be rendered, or nothing. Raises Unrendered where that is not known yet."""
        mark = hash(key_of(delivery))
        if mark in self._before:
            self._after[mark] = self._before[mark]
            return self._before[mark]
        self.tried += 1
        try:
            self._renders.render(delivery)
            self._after[mark] = self._wrong(delivery.application.spec, delivery.cluster)
        except UserError as error:
            self._after[mark] = str(error)
        return self._after[mark]

    def remember(self) -> None:
        """The round ends before all were asked for: what is known of the others stays known."""
        for mark, text in self._before.items():
            self._after.setdefault(mark, text)

    def _wrong(self, spec: ApplicationSpec, cluster: MemberCluster) -> str:
        """What overrides have broken there; looked at once for all whom the same ones hold for."""
        labels = cluster.metadata.labels
        places = overrides.chosen(spec, labels)
        if places not in self._overridden:
            self._overridden[places] = validation.overridden(spec, labels)
        wrong = self._overridden[places]
        return f"cluster {cluster.name}: {wrong}" if wrong else ""


def key_of(delivery: Delivery) -> _Key:
    """Everything that a rendering depends on; a generation stands for a spec."""
    about = (delivery.cluster.metadata, delivery.fleet.metadata)
    return (
        delivery.namespace,
        delivery.application.uid,
        delivery.application.generation,
        delivery.revision,
        *((item.uid, item.generation) for item in about),
        *(tuple(sorted(item.labels.items())) for item in about),
    )
