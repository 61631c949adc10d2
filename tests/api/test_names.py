"""Names: the paths of resources, and what every object says of itself."""

import pytest

from fleet.api import Fleet, names
from fleet.api.names import Resource
from fleet.kulta.core.gates import requests


@pytest.mark.parametrize(
    ("resource", "asked", "path"),
    [
        pytest.param(names.PODS, {}, "/api/v1/pods", id="all of a core kind"),
        pytest.param(
            names.ROLLOUTS,
            {"namespace": "shop"},
            "/apis/kulta.io/v1beta1/namespaces/shop/rollouts",
            id="all of a namespace",
        ),
        pytest.param(
            names.ROLLOUTS,
            {"namespace": "shop", "name": "web", "sub": "status"},
            "/apis/kulta.io/v1beta1/namespaces/shop/rollouts/web/status",
            id="a sub-resource of one",
        ),
        pytest.param(
            names.CRDS,
            {"namespace": "ignored", "name": "rollouts.kulta.io"},
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rollouts.kulta.io",
            id="a kind without namespaces",
        ),
    ],
)
def test_paths(resource: Resource, asked: dict[str, str], path: str) -> None:
    assert resource.path(**asked) == path


@pytest.mark.parametrize(
    ("resource", "version"), [(names.PODS, "v1"), (names.LEASES, "coordination.k8s.io/v1")]
)
def test_api_versions(resource: Resource, version: str) -> None:
    assert resource.api_version == version


def test_every_request_has_a_name_and_is_acted_on() -> None:
    assert sorted(names.REQUESTS) == sorted(requests.ACTIONS)
    assert names.request_annotation("promote") == "kulta.io/promote"


def test_an_object_knows_its_name_and_namespace() -> None:
    fleet = Fleet.parse(
        {
            "metadata": {"name": "production", "namespace": "shop"},
            "spec": {"members": {"names": ["eu-7"]}},
        },
        strict=True,
    )
    assert (fleet.name, fleet.namespace) == ("production", "shop")
