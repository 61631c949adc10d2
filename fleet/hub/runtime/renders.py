"""Renderings, kept: one Application for one member costs milliseconds and is asked for often.

    delivery ──likeness──> what is the same for all its like ──name──> the member's own

Used by `observe`. What goes into a key is all that a rendering depends on, so an entry is never
wrong, only old and then unused. Errors are kept too: they are as certain as manifests. Where an
Application has templates of its own, `drafts` prints them aside.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from fleet.api import MemberCluster
from fleet.api.application import ApplicationSpec
from fleet.api.meta import ObjectMeta
from fleet.api.names import Key
from fleet.errors import UserError
from fleet.hub.core.application import validation
from fleet.hub.core.observed import Rendered
from fleet.hub.runtime.drafts import Drafts
from fleet.rendering import overrides
from fleet.rendering.delivery import Delivery
from fleet.rendering.environment import TemplateSet
from fleet.rendering.render import Drawn, Form, drawn, fault, finished, forms, is_alike, shown

MOST = 2_000
"""Renderings kept, 20 KB each; members that are alike have one."""

T = TypeVar("T")
_Key = tuple[object, ...]


class Renders:
    """A bounded cache before `rendering.render`."""

    def __init__(self, templates: TemplateSet, drafts: Drafts) -> None:
        self.templates, self.drafts = templates, drafts
        self._alike = is_alike(templates)
        self._forms: OrderedDict[_Key, tuple[Form, ...]] = OrderedDict()
        self._drawn: OrderedDict[_Key, tuple[Drawn, ...] | UserError] = OrderedDict()
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
        try:
            if delivery.application.templates:
                return finished(delivery, self.draw(delivery))
            found = _kept(
                self._forms, self.likeness(delivery), lambda: forms(delivery, self.draw(delivery))
            )
        except UserError as error:
            raise fault(delivery, error) from None
        return tuple([form.filled(delivery.cluster.name) for form in found])

    def draw(self, delivery: Delivery) -> tuple[Drawn, ...]:
        """What is the same for all for whom `likeness` is. Raises the same, without the member's
        name."""
        application = delivery.application
        if application.templates:  # kept by `drafts`, which knows how large it may be
            owner = (delivery.namespace, application.name)
            return self.drafts.find(owner, application.templates, shown(delivery))
        found = _kept(self._drawn, self.likeness(delivery), lambda: self._tried(delivery))
        if isinstance(found, UserError):
            raise UserError(found.reason, str(found))
        return found

    def likeness(self, delivery: Delivery) -> _Key:
        """What decides what is drawn."""
        return key_of(delivery, alike=self._alike and not delivery.application.templates)

    def _tried(self, delivery: Delivery) -> tuple[Drawn, ...] | UserError:
        try:
            return drawn(self.templates, delivery)
        except UserError as error:
            return UserError(error.reason, str(error))  # without what its traceback holds


def _kept(known: OrderedDict[_Key, T], key: _Key, make: Callable[[], T]) -> T:
    """What is known under that key, or made now; the `MOST` that were asked for last are kept."""
    found = known[key] if key in known else known.setdefault(key, make())
    known.move_to_end(key)
    if len(known) > MOST:
        known.popitem(last=False)
    return found


class Check:
    """One round of questions about an Application; what is not asked for in it is forgotten."""

    def __init__(self, renders: Renders, before: dict[int, str], after: dict[int, str]) -> None:
        self._renders, self._before, self._after = renders, before, after
        self.tried = 0
        """Renderings that were made for it."""
        self._overridden: dict[tuple[int, ...], str] = {}

    def error(self, delivery: Delivery) -> str:
        """Why it cannot be rendered, or nothing. Raises Unrendered where that is not known yet."""
        mark = hash(self._renders.likeness(delivery))
        if mark not in self._after:
            known = self._before.get(mark)
            self._after[mark] = self._tried(delivery) if known is None else known
        wrong = self._after[mark]
        return f"cluster {delivery.cluster.name}: {wrong}" if wrong else ""

    def remember(self) -> None:
        """The round ends before all were asked for: what is known of the others stays known."""
        for mark, text in self._before.items():
            self._after.setdefault(mark, text)

    def _tried(self, delivery: Delivery) -> str:
        self.tried += 1
        try:
            self._renders.draw(delivery)
        except UserError as error:
            return str(error)
        return self._wrong(delivery.application.spec, delivery.cluster)

    def _wrong(self, spec: ApplicationSpec, cluster: MemberCluster) -> str:
        """What overrides have broken there; looked at once for all whom the same ones hold for."""
        labels = cluster.metadata.labels
        places = overrides.chosen(spec, labels)
        if places not in self._overridden:
            self._overridden[places] = validation.overridden(spec, labels)
        return self._overridden[places]


def key_of(delivery: Delivery, *, alike: bool = False) -> _Key:
    """Everything that a rendering depends on; a generation stands for a spec. Where no template
    reads `cluster` (`alike`), a member has its overrides and its Prometheus in it, no more."""
    application, cluster = delivery.application, delivery.cluster
    if alike:
        own: _Key = (
            overrides.chosen(application.spec, cluster.metadata.labels),
            cluster.spec.prometheus,
        )
    else:
        own = _identity(cluster.metadata)
    return (
        delivery.namespace,
        application.uid,
        application.generation,
        delivery.revision,
        *_identity(delivery.fleet.metadata),
        *own,
    )


def _identity(metadata: ObjectMeta) -> _Key:
    return (metadata.uid, metadata.generation, *sorted(metadata.labels.items()))
