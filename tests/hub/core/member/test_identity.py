"""Of two names for one cluster, which is the elder."""

from datetime import timedelta

import pytest

from fleet.api.membercluster import MemberCluster
from fleet.hub.core.member import identity
from tests.conftest import NOON
from tests.hub import gen


def made(name: str, minutes: int, namespace: str = "shop") -> MemberCluster:
    body = gen.cluster(name).manifest()
    stamp = NOON + timedelta(minutes=minutes)
    body["metadata"] |= {"creationTimestamp": stamp.isoformat(), "namespace": namespace}
    return MemberCluster.parse(body)


@pytest.mark.parametrize(
    ("others", "elder"),
    [
        pytest.param([], "", id="nobody else"),
        pytest.param([(made("old", -1), "uid-1")], "old", id="an older one of that uid"),
        pytest.param([(made("eu-7", 0), "uid-1")], "", id="it is not its own elder"),
        pytest.param([(made("new", 1), "uid-1")], "", id="a younger one waits itself"),
        pytest.param([(made("old", -1), "uid-2")], "", id="an older one elsewhere"),
        pytest.param([(made("old", -1, "team-2"), "uid-1")], "", id="one of another tenant"),
        pytest.param([(made("a", 0), "uid-1")], "a", id="of the same second, the first by name"),
        pytest.param([(made("b", -1), "uid-1"), (made("a", -2), "uid-1")], "a", id="the eldest"),
    ],
)
def test_the_elder_of_two_names(others: list[tuple[MemberCluster, str]], elder: str) -> None:
    assert identity.elder_twin(made("eu-7", 0), "uid-1", others) == elder
