"""Hooks: HTTP servers of the user's that are asked before a rollout goes on, or told how it goes.

Part of a Rollout's spec. The engine alone calls them; what each type means is in
`kulta.core.gates.hooks` and `kulta.core.messages.webhooks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from fleet.api.advisor import Endpoint
from fleet.api.meta import Model
from fleet.api.rules import Rules

HookName = Annotated[str, Field(min_length=1, max_length=63)]
"""By which messages and steps call a hook."""


class Hook(Model):
    """One HTTP server."""

    name: HookName
    """How messages, and `hooks` of a step, call it."""
    type: (
        Literal[
            "confirm-rollout",
            "pre-rollout",
            "rollout",
            "confirm-traffic-increase",
            "confirm-promotion",
            "post-rollout",
            "rollback",
            "event",
        ]
        | None
    ) = None
    """When it is called; left out: only by the steps that name it."""
    url: Endpoint
    """It gets a POST; 2xx is a yes."""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    """How long one attempt may take."""
    retries: Annotated[int, Field(ge=0, le=5)] = 2
    """Further attempts at once, where there is no answer, or one of 5xx."""
    metadata: Annotated[Mapping[str, str], Field(max_length=16)] = Field(default_factory=dict)
    """More for it to know."""


_ALWAYS = frozenset({"confirm-rollout", "pre-rollout", "rollback", "post-rollout", "event"})
CALLED: Mapping[str, frozenset[str]] = {
    "canary": _ALWAYS | {"rollout", "confirm-traffic-increase", "confirm-promotion"},
    "blueGreen": _ALWAYS | {"rollout", "confirm-promotion"},
    "abTesting": _ALWAYS,
    "simple": _ALWAYS | {"confirm-promotion"},
}
"""Strategy → types that it ever calls; in an experiment a person confirms the promotion."""

Hooks = Annotated[
    tuple[Hook, ...],
    Field(max_length=16),
    Rules(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
]


def faults(
    hooks: Sequence[Hook], strategy: str, steps: Sequence[Sequence[str]], at: str, where: str
) -> Iterator[str]:
    """What is wrong with the hooks that stand `at`, and with their names in the steps of the
    strategy that stands at `where`; each with the correction."""
    seen = set[str]()
    for index, hook in enumerate(hooks):
        if hook.name in seen:
            yield f"{at}[{index}].name: {hook.name} comes twice; write another name"
        seen.add(hook.name)
        if hook.type is not None and hook.type not in CALLED[strategy]:
            types = ", ".join(sorted(CALLED[strategy]))
            yield f"{at}[{index}].type: {strategy} never calls {hook.type}; write {types}"
    for index, names in enumerate(steps):
        for name in names:
            if name not in seen:
                yield (
                    f"{where}.steps[{index}].hooks: there is no {name} in {at}; "
                    f"add {{name: {name}, url: …}}"
                )
