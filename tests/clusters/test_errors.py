"""An API server's answers and a transport's failures → our classes and sentences."""

import orjson
import pytest

from fleet import errors
from fleet.clusters import errors as turning

WHAT = "PATCH /apis/kulta.io/v1beta1/namespaces/shop/rollouts/checkout"
Expected = type[errors.FleetError]


def body(message: str = "", reason: str = "", **more: object) -> bytes:
    return orjson.dumps({"kind": "Status", "message": message, "reason": reason, **more})


@pytest.mark.parametrize(
    ("status", "answer", "kind", "text"),
    [
        pytest.param(400, body("bad"), errors.Invalid, f"{WHAT}: 400 bad", id="a bad request"),
        pytest.param(401, body("Unauthorized"), errors.Unauthorized, f"{WHAT}: 401 Unauthorized",
                     id="a wrong token"),
        pytest.param(403, body("no"), errors.Forbidden, f"{WHAT}: 403 no", id="a missing right"),
        pytest.param(404, body("none"), errors.NotFound, f"{WHAT}: 404 none", id="no such object"),
        pytest.param(409, body("there", "AlreadyExists"), errors.AlreadyExists,
                     f"{WHAT}: 409 there", id="a name that is taken"),
        pytest.param(409, body("late", "Conflict"), errors.Conflict, f"{WHAT}: 409 late",
                     id="somebody was faster"),
        pytest.param(410, body("old", "Expired"), errors.Gone, f"{WHAT}: 410 old",
                     id="a version that is too old"),
        pytest.param(415, b"", errors.PermanentError, f"{WHAT}: 415", id="any other refusal"),
        pytest.param(422, body("spec"), errors.Invalid, f"{WHAT}: 422 spec", id="a bad object"),
        pytest.param(429, body("slow"), errors.Throttled, f"{WHAT}: 429 slow", id="too many"),
        pytest.param(500, body("etcd"), errors.Unreachable, f"{WHAT}: 500 etcd", id="a broken one"),
        pytest.param(503, b"<html>busy</html>", errors.Unreachable,
                     f"{WHAT}: 503 <html>busy</html>", id="a proxy's page"),
        pytest.param(302, b"", errors.Unreachable,
                     f"{WHAT}: 302: this is not an API server but a redirect", id="a redirect"),
        pytest.param(500, body(".spec.apiKey: field not declared in schema"), errors.Invalid,
                     f"{WHAT}: 500 .spec.apiKey: field not declared in schema",
                     id="a field called like a credential"),
        pytest.param(500, body("failed: .spec.hold: field not declared in schema"), errors.Invalid,
                     f"{WHAT}: 500 failed: .spec.hold: field not declared in schema",
                     id="a field that the member's CRD lacks is not worth a repetition"),
        pytest.param(403, body("denied: Authorization: Token abc"), errors.Forbidden,
                     f"{WHAT}: 403 denied: Authorization: …", id="a credential in its words"),
        pytest.param(502, b"x" * 180 + b" Basic " + b"y" * 100, errors.Unreachable,
                     f"{WHAT}: 502 {'x' * 180} Basic …", id="half a credential at their end"),
    ],
)  # fmt: skip
def test_an_answer_becomes_an_error(status: int, answer: bytes, kind: Expected, text: str) -> None:
    error = turning.from_answer(status, answer, what=WHAT)
    assert (type(error), str(error)) == (kind, text)


def test_an_apply_conflict_names_the_managers() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{who}" using apps/v1'}
        for who in ("kubectl", "argocd", "kubectl")
    ]
    error = turning.from_answer(
        409, body("Apply failed", "Conflict", details={"causes": causes}), what=WHAT
    )
    assert isinstance(error, errors.Conflict)
    assert error.managers == ("argocd", "kubectl")


def test_the_servers_wish_for_patience_is_kept() -> None:
    error = turning.from_answer(429, b"", what=WHAT, retry_after=7.0)
    assert isinstance(error, errors.Throttled)
    assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("etcdserver: leader changed", False, id="etcd speaks of the server"),
        pytest.param('failed calling webhook "x"', True, id="a dead webhook of a tenant does not"),
        pytest.param("field not declared in schema", True, id="nor does an unknown field"),
    ],
)
def test_a_5xx_about_one_object_is_no_verdict_on_the_server(message: str, expected: bool) -> None:
    assert turning.is_about_one_object(body(message)) is expected
