"""What a member is given, before any cluster is asked: objects, their order, the rights of hubs."""

from collections import Counter

import pytest

from fleet.cli import inspection, registration
from fleet.cli.registration import Wish
from fleet.errors import UserError


def test_every_object_comes_once_and_what_it_needs_before_it() -> None:
    made = [
        (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
        for item in registration.manifests(["a", "b"])
    ]
    assert [key for key, count in Counter(made).items() if count > 1] == []
    assert made[:4] == [
        ("Namespace", "", "kulta-system"),
        ("Namespace", "", "a"),
        ("Namespace", "", "b"),
        ("CustomResourceDefinition", "", "rollouts.kulta.io"),
    ]
    for kind, namespace, name in made:
        if kind.endswith("RoleBinding"):
            role = kind.removesuffix("Binding")
            assert made.index((role, namespace, name)) < made.index((kind, namespace, name))


def test_no_placeholder_is_left() -> None:
    assert "ALLOWED_NAMESPACE" not in str(list(registration.manifests(["a"])))


def test_the_rights_are_one_verb_each_and_only_the_hubs() -> None:
    found = [dict(right) for right in inspection.rights(["a"])]
    assert {"namespace": "a", "verb": "delete", "resource": "services"} in found
    assert {
        "namespace": "kulta-system",
        "verb": "create",
        "resource": "serviceaccounts",
        "subresource": "token",
        "name": "kulta-fleet-hub",
    } in found
    assert not [right for right in found if right["resource"] in ("pods", "secrets", "roles")]
    per_namespace = len(list(inspection.rights(["a", "b"]))) - len(found)
    assert per_namespace == len([right for right in found if right.get("namespace") == "a"])


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        pytest.param(
            {"namespaces": ("shop", "kube-public", "kulta-system")},
            "--namespaces kube-public,kulta-system: belongs to the cluster itself: "
            "write namespaces of your own",
            id="namespaces of the cluster",
        ),
        pytest.param(
            {"engine": "managed"},
            "--engine managed: write Managed or External",
            id="an unknown mode",
        ),
    ],
)
def test_what_is_wrong_everywhere_is_refused_at_once(
    wish: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        registration.check(Wish(name="eu", namespace="shop", **wish))  # type: ignore[arg-type]
    assert (refused.value.reason, str(refused.value)) == ("Usage", sentence)
