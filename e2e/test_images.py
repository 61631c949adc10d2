"""Which program an image means, where its tag goes, and how its variables are written."""

import pytest

from e2e.ground import discovery, environment
from e2e.ground.images import Image, table


@pytest.mark.parametrize(
    ("image", "argv"),
    [
        pytest.param("shop:v2", ("/a", "v2"), id="the tag"),
        pytest.param("shop/special:v3", ("/b", "shop/special:v3"), id="the longest beginning wins"),
        pytest.param("shop", ("/a", "latest"), id="no tag is latest"),
        pytest.param("host:5000/x:v1", None, id="no beginning fits"),
    ],
)
def test_an_image_is_a_program(image: str, argv: tuple[str, ...] | None) -> None:
    find = table({"shop": ("/a", "{tag}"), "shop/special": Image(argv=("/b", "{image}"))})
    found = find(image)
    assert (found.argv if found else None) == argv


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        pytest.param("$(A)-$(B)", "1-2", id="known names"),
        pytest.param("$(C)", "$(C)", id="an unknown name stays"),
        pytest.param("$$(A) $5", "$(A) $5", id="a doubled dollar sign"),
    ],
)
def test_references_to_variables_are_expanded(text: str, expanded: str) -> None:
    assert environment.expand(text, {"A": "1", "B": "2"}) == expanded


@pytest.mark.parametrize(
    ("name", "label"),
    [
        pytest.param("app", "app", id="nothing to do"),
        pytest.param("prometheus.io/scrape", "prometheus_io_scrape", id="dots and slashes"),
        pytest.param("pod-template-hash", "pod_template_hash", id="dashes"),
    ],
)
def test_label_names_are_written_as_prometheus_does(name: str, label: str) -> None:
    assert discovery.sanitise(name) == label
