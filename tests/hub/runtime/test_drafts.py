"""Templates of tenants at the desk: printed aside, once for all who get the same, in turns."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fleet.api.conditions import MESSAGE_LIMIT
from fleet.api.names import APPLICATIONS, CLUSTERROLLOUTS, FLEETROLLOUTS, FLEETS, ROLLOUTS, Key
from fleet.clusters.store import Change
from fleet.errors import TemporaryError, UserError
from fleet.hub.runtime import dispatching, drafts, membership, observe, reconcile, triggers
from fleet.hub.runtime.drafts import Drafts, Unrendered
from fleet.ports import Printed
from fleet.rendering import tenant
from fleet.telemetry.metrics import HubMetrics
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk, FakePress
from tests.hub.world import TEMPLATES

KEY = (TENANT, "checkout")
HTTPROUTE = dict(TEMPLATES.files)["httproute.yaml.j2"]
ALIKE = {"httproute.yaml.j2": HTTPROUTE + "{# mine #}"}
OWN = {"httproute.yaml.j2": HTTPROUTE + "# {{ cluster.name }}\n"}
EACH_ITS_OWN = Printed(documents=(), names=frozenset({"cluster"}))
BAD = {"httproute.yaml.j2": "\n{{ cluster.nme }}"}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A fleet of two members, an Application that names a ConfigMap, and a press at work."""
    made = Desk()
    for name in ("east", "west"):
        await membership.reconcile(made.hub, made.register(name))
        made.live(name)
    made.put(FLEETS, gen.fleet())
    body = gen.application().manifest()
    body["spec"]["templates"] = {"configMap": "own"}
    made.put(APPLICATIONS, body)
    running = asyncio.create_task(made.hub.renders.drafts.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def give(desk: Desk, files: dict[str, str]) -> None:
    """The ConfigMap says so; None: it is gone."""
    own = tenant.read({"data": files})
    desk.hub.stores.templates = {(TENANT, "own"): own}
    triggers.templates_changed(
        desk.hub, Change(type="MODIFIED", key=(TENANT, "own"), old=None, new=own)
    )


async def settle(desk: Desk) -> Any:
    """Look until nothing is printed any more; the Application."""
    queue = desk.queues.applications
    queue.add(KEY)
    for _ in range(20):
        asked, queue.added = queue.added, []
        if KEY in asked:
            await reconcile.application(desk.hub, KEY)
        for _ in range(5):
            await asyncio.sleep(0)
    return desk.hub.stores.applications[KEY]


async def test_a_run_freezes_what_the_configmap_says(desk: Desk) -> None:
    give(desk, OWN)
    assert desk.queues.applications.names() == {"checkout"}
    found = await settle(desk)
    assert found.status.run == "checkout-1"
    run = desk.hub.stores.runs[TENANT, "checkout-1"]
    assert run.spec.application.templates == OWN
    assert desk.press.asked == [TENANT, TENANT], "one for each member, and none twice"


async def test_what_no_member_has_for_itself_is_printed_once(desk: Desk) -> None:
    give(desk, ALIKE)
    assert (await settle(desk)).status.run == "checkout-1"
    assert desk.press.asked == [TENANT]


async def test_a_large_fleet_is_asked_for_in_parts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "GAPS", 1)
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"
    assert desk.press.asked == [TENANT, TENANT]


async def test_an_error_stands_in_the_conditions_and_heals(desk: Desk) -> None:
    give(desk, BAD)
    found = await settle(desk)
    assert found.status.message == (
        "cluster east: template httproute.yaml.j2 line 2: 'dict object' has no attribute 'nme'"
    )
    assert {(item.reason, item.status) for item in found.status.conditions} == {
        ("TemplateError", "False")
    }
    assert len(desk.press.asked) == 1, "the other member is not tried"
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"


async def test_a_configmap_that_is_not_there_is_waited_for(desk: Desk) -> None:
    found = await settle(desk)
    assert found.status.message == (
        "spec.templates.configMap: there is no ConfigMap own with the label "
        'fleet.kulta.io/templates: "true" in namespace shop: write one, or that label; what was '
        "delivered stays as it is"
    )
    assert {item.reason for item in found.status.conditions} == {"TemplatesNotFound"}
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"


async def test_another_configmap_wakes_nobody(desk: Desk) -> None:
    desk.queues.applications.added.clear()
    change = Change(type="ADDED", key=(TENANT, "other"), old=None, new=tenant.Own())
    triggers.templates_changed(desk.hub, change)
    assert desk.queues.applications.added == []


async def test_a_machine_without_processes_delays_and_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "RETRY_SECONDS", 0.0)
    desk.press.outage = TemporaryError("no process")
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"


async def test_what_makes_no_sense_at_all_is_an_error_like_any_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise TypeError("what is this?")

    monkeypatch.setattr(drafts, "accepted", broken)
    give(desk, OWN)
    told = (await settle(desk)).status.message
    assert told == "cluster east: templates: what they print makes no sense"
    assert "makes no sense" in caplog.text


async def test_what_weighs_much_makes_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is made all the same: who asked finds the newest."""
    monkeypatch.setattr(drafts, "MOST_BYTES", drafts.LEAST_BYTES)
    give(desk, OWN)
    assert (await settle(desk)).status.run == "checkout-1"
    assert len(desk.hub.renders.drafts._kept) == 1


async def test_a_dispatch_waits_for_the_text_of_its_run_and_a_hold_for_nothing(desk: Desk) -> None:
    """As after a start of the hub: the ConfigMap may be gone by then, and what was kept is."""
    run = gen.run(gen.wave("all", "east", "west"))
    frozen = run.spec.application.model_copy(update={"templates": OWN})
    spec = run.spec.model_copy(update={"application": frozen})
    desk.put(FLEETROLLOUTS, run.model_copy(update={"spec": spec}))
    body = gen.item("east").manifest()
    body["status"] = {}
    desk.put(CLUSTERROLLOUTS, body)
    east = (TENANT, "checkout.east")
    desk.queues.dispatches.added.clear()
    await dispatching.dispatch(desk.hub, east)
    assert desk.member("east").writes() == []
    for _ in range(5):
        await asyncio.sleep(0)
    assert desk.queues.dispatches.added == [east]
    await dispatching.dispatch(desk.hub, east)
    kinds = [write.kind for write in desk.member("east").writes()]
    assert kinds == ["Rollout", "Service", "Service", "HTTPRoute"]
    member, link = desk.member("east"), desk.link("east")
    found = member.peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    assert link.handle is not None
    link.handle.informers[ROLLOUTS].store.see(found)
    body = desk.hub.stores.items[east].manifest()
    body["spec"]["hold"] = "halted"
    desk.put(CLUSTERROLLOUTS, body)
    desk.hub.renders.drafts._kept.clear()
    await dispatching.dispatch(desk.hub, east)
    found = member.peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    assert found["spec"]["hold"]["reason"] == "halted"
    assert len(desk.press.asked) == 1, "what is to be printed has not been begun"


class Slow(FakePress):
    """Ends a job when it is told to, with an error or what is `made`; notes who it was for."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)
        self.made: Printed | None = None
        self.told = "template a: wrong"

    async def print(self, tenant: str, files: Any, names: Any, values: Any) -> Any:
        self.asked.append(f"{tenant}/{values['application']['name']}")
        await self.gate.acquire()
        if self.made is not None:
            return self.made
        raise UserError("TemplateError", self.told)


class Asking:
    """Who asks drafts for more than is printed; `press` prints one thing for each `turn`."""

    def __init__(self) -> None:
        self.press = Slow()
        self.made = Drafts(self.press, TEMPLATES, HubMetrics())
        self.woken: list[Key] = []
        self.asked = 0

    def ask(self, owner: str, number: int) -> bool:
        """Whether it is known what comes of it."""
        space, _, name = owner.partition("/")
        values = {"application": {"name": name}, "number": number}
        self.asked += 1
        try:
            self.made.find((space, name), OWN, values)
        except Unrendered as gap:
            gap.then(self.woken.append, (owner, str(number)))
            return False
        except UserError:
            return True
        raise AssertionError("it prints nothing")

    async def turn(self) -> None:
        self.press.gate.release()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    made = Asking()
    running = asyncio.create_task(made.made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_applications_take_turns_and_one_prints_one_thing_at_a_time(asking: Asking) -> None:
    for name in ("shop/evil", "shop/good", "shop/other"):
        for number in range(3):
            asking.ask(name, number)
    await asking.settle()
    await asking.turn()
    assert asking.woken == [("shop/evil", str(number)) for number in range(3)], "all ask again"
    asking.ask("shop/evil", 1)
    for _ in range(5):
        await asking.turn()
    assert asking.press.asked[:4] == ["shop/evil", "shop/good", "shop/other", "shop/evil"]


async def test_tenants_take_turns_however_many_applications_they_have(asking: Asking) -> None:
    for number in range(6):
        asking.ask(f"evil/app-{number}", 0)
    await asking.settle()
    asking.ask("shop/good", 0)
    asking.ask("shop/other", 0)
    for _ in range(4):
        await asking.turn()
    assert asking.press.asked == [
        *("evil/app-0", "evil/app-1", "evil/app-2"),
        *("shop/good", "evil/app-3", "shop/other"),
    ]


async def test_as_many_are_called_as_get_a_place(asking: Asking) -> None:
    """Sixty members of which each gets its own: whoever asks in vain costs the hub as much."""
    asking.press.made = EACH_ITS_OWN
    known = 0
    calls = [("shop/checkout", str(number)) for number in range(60)]
    while calls:
        known += sum(asking.ask(owner, int(number)) for owner, number in calls)
        asking.woken.clear()
        await asking.settle()
        await asking.turn()
        calls = list(asking.woken)
    assert known == 60
    assert asking.asked < 60 * 5


async def test_who_is_called_and_never_asks_again_keeps_nobody_waiting(asking: Asking) -> None:
    asking.press.made = EACH_ITS_OWN
    for number in range(60):
        asking.ask("shop/checkout", number)
    await asking.settle()
    await asking.turn()
    assert len(asking.woken) == 60
    asking.woken.clear()
    for number in range(1, 60):
        asking.ask("shop/checkout", number)
    for _ in range(drafts.WAITING):
        await asking.turn()
    assert len(asking.woken) == 59
    assert asking.made._lanes == {}


async def test_an_error_that_is_kept_holds_nothing_of_what_was_printed(asking: Asking) -> None:
    asking.press.told = "x" * 1_000_000
    asking.ask("shop/checkout", 0)
    await asking.settle()
    await asking.turn()
    ((error, weight),) = asking.made._kept.values()
    assert isinstance(error, UserError)
    assert (error.__traceback__, error.__context__) == (None, None)
    assert len(str(error)) == MESSAGE_LIMIT < weight
