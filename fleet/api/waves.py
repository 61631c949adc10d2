"""Waves: which members go together, how fast, and the gates before and after them.

Part of a `deliveryPolicy`. A gate is one thing to wait for; what each of them asks is the hub's
`core.run.waits`.
"""

from typing import Annotated

from pydantic import Field

from fleet.api.meta import LabelSelector, Model
from fleet.api.rules import Rule, Rules, choice
from fleet.api.values import Amount, AtLeastOne, Duration, Name


class Approval(Model):
    """A person says yes to this plan: `approve/<id>/<wave>:<digest>`."""

    expires_after: Duration = "24h"
    """A yes that has not been used by then counts no more."""


class Schedule(Model):
    """Windows of time; before a wave, none of its members starts outside them."""

    cron: Annotated[
        str,
        Field(max_length=64),
        Rules(
            Rule(
                rule=r"self.matches(r'^\s*\S+(\s+\S+){4}\s*$')",
                message="write five fields, minute hour day month weekday, for example 0 8 * * 1-4",
            )
        ),
    ]
    """When a window opens: minute, hour, day, month, weekday."""
    duration: Duration
    """How long it is open."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    """Name of the IANA list, for example Europe/Berlin; summer time counts."""


class Hook(Model):
    """Somebody else's yes: the hub asks by HTTP POST every 30 s until the answer is 2xx."""

    url: Annotated[
        str,
        Field(max_length=512),
        Rules(
            Rule(
                rule=r"self.matches(r'^https?://[^/?#@\s]+([/?#]\S*)?$')",
                message="write http:// or https://, a host that the hub's KULTA_HOOK_HOSTS names, "
                "and a path; no user and no password",
            )
        ),
    ]
    """Where to ask; the hub's KULTA_HOOK_HOSTS has to name the host."""
    timeout: Duration = "10s"
    """How long an answer may take."""


ORDER = r"^(name|label:[A-Za-z0-9][-A-Za-z0-9_./]*)$"
ORDER_HELP = "write name, or label:<key>, for example label:risk"

OrderBy = Annotated[
    str,
    Field(max_length=323),
    Rules(Rule(rule=f"self.matches(r'{ORDER}')", message=ORDER_HELP)),
]
"""`name`, or `label:<key>`: by the label's values, numbers by their size, who has none last."""

KINDS = ("soak", "approval", "schedule", "hook", "paused")


class Gate(Model):
    """One thing to wait for: exactly one member."""

    RULES = (
        choice(*KINDS),
        Rule(
            rule="!has(self.paused) || self.paused",
            message="paused: false waits for nothing: remove the gate",
            field=".paused",
        ),
    )

    soak: Duration | None = None
    """How long the wave must run well before the next begins; the clock stops in pauses, and while
    a member is not heard of or too few of its pods are ready. Comes first, after a wave only."""
    approval: Approval | None = None
    schedule: Schedule | None = None
    hook: Hook | None = None
    paused: bool | None = None
    """`true` waits for the request `promote/<id>/<wave>`."""

    @property
    def kind(self) -> str:
        """The name of the first member that is set."""
        return next((name for name in KINDS if getattr(self, name) is not None), "")


Gates = Annotated[tuple[Gate, ...], Field(max_length=8)]


class Wave(Model):
    """Members that may go together; exactly one of clusterSelector, clusters, remaining."""

    RULES = (
        Rule(
            rule="(has(self.clusterSelector) ? 1 : 0) + "
            "(has(self.clusters) && self.clusters.size() > 0 ? 1 : 0) + "
            "(has(self.remaining) && self.remaining ? 1 : 0) == 1",
            message="write exactly one of clusterSelector, clusters and remaining: true",
        ),
        Rule(
            rule="!has(self.before) || self.before.all(gate, !has(gate.soak))",
            message="a soak follows a wave: move it to `after` of the wave before",
            field=".before",
        ),
        Rule(
            rule="!has(self.after) || self.after.map(gate, has(gate.soak) ? 0 : 1).isSorted()",
            message="a wave soaks first: move the soaks to the beginning of `after`",
            field=".after",
        ),
    )

    name: Name
    """What people call the wave; unique in its policy."""
    cluster_selector: LabelSelector | None = None
    """Members by label."""
    clusters: Annotated[tuple[Name, ...], Field(max_length=1_000)] = ()
    """Members by name."""
    remaining: bool = False
    """All members that no other wave took; only the last wave."""
    order_by: OrderBy | None = None
    """In which order its members go: `name` (default), or by the values of a label,
    `label:<key>`; who joins during a run goes last."""
    max_concurrency: AtLeastOne | None = None
    """Members in flight at once, rounded down, at least 1; default 1."""
    failure_budget: Amount | None = None
    """Failed members that the wave bears, rounded down; default 0."""
    progress_deadline: Duration | None = None
    """Time for one member, pauses excluded; default 30m."""
    before: Gates = ()
    """What to wait for before the wave begins: all at once, asked in this order."""
    after: Gates = ()
    """What to wait for before the wave is done: soaks, then all others at once."""


Waves = Annotated[
    tuple[Wave, ...],
    Field(max_length=50),
    Rules(
        Rule(
            rule="self.all(a, self.exists_one(b, b.name == a.name))",
            message="waves: each name may stand once",
        ),
        Rule(
            rule="self.all(wave, !has(wave.remaining) || !wave.remaining || "
            "wave.name == self[self.size() - 1].name)",
            message="waves: only the last wave may be remaining: true",
        ),
    ),
]
"""Waves in the order in which they go."""
