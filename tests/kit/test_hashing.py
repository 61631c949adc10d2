"""Digests: equal for equal meaning, the reference's algorithm for pods, known vectors."""

import pytest

from fleet.kit import hashing


def template(image: str) -> dict[str, object]:
    return {
        "metadata": {"labels": {"app": "test-app"}},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


@pytest.mark.parametrize(
    ("data", "digest"),
    [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)],
)
def test_the_published_vectors(data: bytes, digest: int) -> None:
    assert hashing.fnv1a64(data) == digest


def test_one_template_has_one_hash() -> None:
    """[H1] The same template twice has the same hash of ten characters."""
    first, second = hashing.pod_hash(template("nginx:1.0")), hashing.pod_hash(template("nginx:1.0"))
    assert first == second
    assert len(first) == 10


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param("nginx:1.0", "3ed50bd1c0", id="[H2] nginx:1.0"),
        pytest.param("nginx:2.0", "18ae9dfabf", id="[H2] nginx:2.0 has another hash"),
    ],
)
def test_the_references_hashes(image: str, expected: str) -> None:
    assert hashing.pod_hash(template(image)) == expected


def test_leading_zeros_stay() -> None:
    """[H3] A hash with a leading zero nibble still has ten characters."""
    templates = [template(f"nginx:{number}") for number in range(200)]
    leading = [
        item for item in templates if hashing.fnv1a64(hashing.canonical(item).encode()) < 1 << 60
    ]
    assert leading, "200 templates and none with a leading zero: choose others"
    assert all(len(hashing.pod_hash(item)) == 10 for item in leading)
    assert all(hashing.pod_hash(item).startswith("0") for item in leading)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, id="order of keys"),
        pytest.param({"a": 1, "b": None}, {"a": 1}, True, id="null is absent"),
        pytest.param({"a": [{"b": None}]}, {"a": [{}]}, True, id="null is absent in lists too"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, False, id="order in lists counts"),
        pytest.param({"a": 1}, {"a": "1"}, False, id="a number is no text"),
        pytest.param({"a": {}}, {}, False, id="an empty object is not absent"),
        pytest.param({"a": "é"}, {"a": "e"}, False, id="letters beyond ASCII count"),
    ],
)
def test_what_has_the_same_digest(left: object, right: object, same: bool) -> None:
    assert (hashing.digest(left) == hashing.digest(right)) is same
    assert (hashing.pod_hash(left) == hashing.pod_hash(right)) is same


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"spec": {"b": [None, 1], "a": "null"}, "kind": "X"}, id="parts of parts"),
        pytest.param({"spec": None, "kind": "X", "é": 1}, id="a part that is null"),
        pytest.param({}, id="nothing"),
    ],
)
def test_parts_have_the_digest_of_the_whole(value: dict[str, object]) -> None:
    assert hashing.short(hashing.joined(hashing.parts(value))) == hashing.digest(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([["services", "checkout", "0123456789ab"], []], id="lists"),
        pytest.param({"b": {"é": {}}, "a": ["null"], "\uffff": "", "😀": ""}, id="keys in order"),
        pytest.param(['\x00\x1f\x7f\n"\\/ü\u2028😀'], id="letters that need care"),
        pytest.param("", id="an empty one"),
    ],
)
def test_of_texts_there_is_one_digest(value: object) -> None:
    assert hashing.of_texts(value) == hashing.digest(value)


def test_canonical_is_compact_sorted_and_readable() -> None:
    assert hashing.canonical({"b": "ü", "a": [1, None]}) == '{"a":[1,null],"b":"ü"}'


@pytest.mark.parametrize("length", [6, 12, 64])
def test_a_digest_has_the_length_asked_for(length: int) -> None:
    assert len(hashing.digest({"a": 1}, length)) == length
