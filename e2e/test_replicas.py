"""Two replicas with the rights that are shipped: one leads, the other looks on, for a minute.

Judged by the audit log, which says from which pod each request came.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

from e2e import replicas as replicas_
from e2e.ground.audit import Request
from e2e.ground.subject import Subject
from e2e.replicas import Replicas
from fleet.clusters.lease import DEADLINE

LEASES = "leases.coordination.k8s.io"


def longest(requests: Iterable[Request], began: datetime, ended: datetime) -> float:
    """The longest silence between these requests, in seconds."""
    times = [began, *(request.received for request in requests), ended]
    return max((after - before).total_seconds() for before, after in pairwise(times))


def test_exactly_one_of_two_replicas_leads_all_the_time(replicas: Replicas) -> None:
    """[L14] One renews its Lease in time and writes; the other asks for the Lease, no more."""
    place = replicas.plane.add_namespace("replicas")
    web = Subject(plane=replicas.plane, namespace=place, name="web", strategy={"simple": {}})
    web.apply("sample:v1")
    web.wait(phase="Completed")
    replicas.pass_time()
    web.apply("sample:v2")
    web.wait(phase="Completed")
    requests = replicas.requests()
    span = replicas.began, requests[-1].received
    assert (span[1] - span[0]).total_seconds() > replicas_.SECONDS
    assert replicas_.running(replicas.plane) == dict.fromkeys(replicas.pods, 0)
    assert {request.pod for request in requests} == replicas.pods
    (leader,) = {request.pod for request in requests if request.is_write}
    (follower,) = replicas.pods - {leader}
    renewals = [item for item in requests if item.resource == LEASES and item.is_write]
    assert {item.code for item in renewals} == {200}
    assert longest(renewals, *span) < DEADLINE
    looks = [item for item in requests if item.pod == follower and item.verb != "watch"]
    assert {(item.verb, item.resource) for item in looks} == {("get", LEASES)}
    assert longest(looks, *span) < DEADLINE
    refused = Counter((item.verb, item.uri) for item in requests if item.code == 403)
    assert refused == {}
