"""Steady state is silent: judged by all audit logs of a minute in which nothing happens.

One Rollout is paused, one has failed, one is complete and a run soaks (`quiet`). Hub and engine
may renew their Leases and start watches anew, and once a minute the engine may write the numbers
of an analysis; nothing else.
"""

from collections import Counter

import pytest

from e2e import quiet
from e2e.quiet import RENEWAL, Minute

NUMBERS = ("site", "update", "/apis/kulta.io/v1beta1/namespaces/quiet/rollouts/paused/status")
"""How the numbers of the one analysis that goes on are written."""


def test_watches_and_lease_renewals_and_nothing_else(minute: Minute) -> None:
    requests = minute.requests()
    loud = Counter(
        (name, request.verb, request.uri.partition("?")[0])
        for name, request in requests
        if not quiet.is_renewal_or_watch(request)
    )
    assert loud.pop(NUMBERS, 0) <= 1
    assert loud == {}
    leases = {name for name, request in requests if (request.verb, request.resource) == RENEWAL}
    assert leases == {"hub", *minute.realm.members}


@pytest.mark.parametrize("name", quiet.WANTED)
def test_nothing_has_moved(minute: Minute, name: str) -> None:
    assert quiet.stands(minute, name)


def test_the_metrics_of_the_paused_one_were_asked_all_the_time(minute: Minute) -> None:
    """So the silence is not that of an engine that has stopped judging."""
    assert quiet.checks(minute) - minute.checks > quiet.SECONDS
