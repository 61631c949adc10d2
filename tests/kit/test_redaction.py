"""What is taken out of a stranger's text, and what is not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.kit import redaction

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl"
LONG = 100_000

HIDDEN = [
    pytest.param("a Bearer abc.def-123", "a Bearer …", id="a bearer token"),
    pytest.param(r"it said:\nBearer abcd", r"it said:\nBearer …", id="the same behind an escape"),
    pytest.param("basic dXNlcjpwYXNz", "basic …", id="a basic password"),
    pytest.param("Authorization: Token abc", "Authorization: …", id="a header of another scheme"),
    pytest.param("Authorization: abc\nHost: x", "Authorization: …\nHost: x", id="one of none"),
    pytest.param('Proxy-Authorization: Digest username="u", response="abc"',
                 "Proxy-Authorization: …", id="one of several parts"),
    pytest.param('{"Authorization":"Token abc","a":1}', '{"Authorization":…,"a":1}',
                 id="one in JSON"),
    pytest.param("{'authorization': ['Negotiate abc'], 'a': 1}", "{'authorization': […], 'a': 1}",
                 id="one in a list of Python"),
    pytest.param('{"X-Auth-Token":["abc"]}', '{"X-Auth-Token":[…]}', id="headers as Go has them"),
    pytest.param(f"got {JWT} from it", "got … from it", id="a JSON web token anywhere"),
    pytest.param(f"id-{JWT}", "id-…", id="in a word"),
    pytest.param("token=abc123 next=1", "token=… next=1", id="a value called token"),
    pytest.param("pwd=abc", "pwd=…", id="called pwd"),
    pytest.param("secret=abc next", "secret=… next", id="called secret"),
    pytest.param('{"secret": "abc"}', '{"secret": …}', id="called secret in JSON"),
    pytest.param("clientSecret: abc", "clientSecret: …", id="in camel case"),
    pytest.param("AWS_SECRET_ACCESS_KEY=abc", "AWS_SECRET_ACCESS_KEY=…", id="a variable"),
    pytest.param('{"token": "abc", "name": "x"}', '{"token": …, "name": "x"}',
                 id="a token in JSON"),
    pytest.param(r'{"body":"{\"token\":\"abc\",\"a\":1}"}', r'{"body":"{\"token\":…,\"a\":1}"}',
                 id="in JSON in JSON"),
    pytest.param(r'\\\"token\\\":\\\"a\\\\\\\"bc\\\",\\\"a\\\":1', r'\\\"token\\\":…,\\\"a\\\":1',
                 id="one deeper, with a quote in it"),
    pytest.param(r'{"password":"a\"bc","a":1}', '{"password":…,"a":1}', id="a quote in a password"),
    pytest.param('{"token":"abc', '{"token":…', id="a value that was cut"),
    pytest.param("client-key-data: QUJD", "client-key-data: …", id="a key in a kubeconfig"),
    pytest.param("password='p w'", "password=…", id="a quoted password"),
    pytest.param('spec.token: Invalid value: "abc": too short',
                 "spec.token: Invalid value: …: too short", id="a value that is refused"),
    pytest.param("run --token abc -v", "run --token … -v", id="an option behind a blank"),
    pytest.param("run --token=abc -v", "run --token=… -v", id="an option with its value"),
    pytest.param('["--client-secret","abc"]', '["--client-secret",…]', id="in a list of words"),
    pytest.param("http://user:pass@proxy:3128/x", "http://…@proxy:3128/x",
                 id="a password in an address"),
    pytest.param("https://ghp_abc@git.example.com/x", "https://…@git.example.com/x",
                 id="a token in an address"),
    pytest.param(r"https:\/\/me:p@ss@host\/x", r"https:\/\/…@host\/x", id="with escaped slashes"),
    pytest.param("-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\nafter",
                 "…\nafter", id="a private key"),
    pytest.param("-----BEGIN PRIVATE KEY-----\nMHcC", "…", id="half a private key"),
    pytest.param("authorization: token abc", "authorization: …", id="a header in small letters"),
    pytest.param('{"name":"DB_PASSWORD","value":"a b"}', '{"name":"DB_PASSWORD","value":…}',
                 id="a variable of a container"),
    pytest.param(r'{\"name\":\"DB_PASSWORD\",\"value\":\"a\"}',
                 r'{\"name\":\"DB_PASSWORD\",\"value\":…}', id="the same in JSON in JSON"),
    pytest.param('core.EnvVar{Name:"DB_PASSWORD", Value:"a"}',
                 'core.EnvVar{Name:"DB_PASSWORD", Value:…}', id="as Go writes it"),
    pytest.param("map[name:DB_PASSWORD value:abc]", "map[name:DB_PASSWORD value:…", id="as a map"),
    pytest.param("name: API_TOKEN\n  value: abc", "name: API_TOKEN\n  value: …", id="in YAML"),
]  # fmt: skip

KEPT = [
    pytest.param("oauth2: cannot fetch token: 401 Unauthorized", id="the code of an answer"),
    pytest.param('couldn\'t get token: Post "https://x/y": dial tcp', id="what was tried for one"),
    pytest.param("error during authorization: context deadline exceeded", id="a reason"),
    pytest.param("denied: authorization: team shop has no quota for it", id="one of a webhook"),
    pytest.param("the Basic plan allows 5 clusters", id="a name of a plan"),
    pytest.param("x509: invalid basic constraints", id="a part of a certificate"),
    pytest.param("invalid bearer token.", id="the end of a sentence"),
    pytest.param("spec.token: Not found: 1", id="what an API server does not find"),
    pytest.param("spec.token: Too long: at most 5", id="what it finds too long"),
    pytest.param(".spec.apiKey: field not declared in schema", id="a field that it does not know"),
    pytest.param("has only one of username and password; write both", id="advice of our own"),
    pytest.param("the token of cluster eu-7 has expired", id="the word"),
    pytest.param("the tokens of 3 clusters; max_tokens: 5", id="many of them"),
    pytest.param("Secret shop/eu-7 has no key kubeconfig", id="the name of a Secret"),
    pytest.param("secret: shop/kubeconfig", id="the name behind a colon"),
    pytest.param('"secret": {"secretName": "eu-7"}', id="a reference in JSON"),
    pytest.param("secretKeyRef: {name: eu-7, key: token}", id="a reference to a key"),
    pytest.param("token:\n  expirationSeconds: 600", id="a block of that name"),
    pytest.param("spec.token: Required value", id="what an API server lacks"),
    pytest.param("https://10.0.0.1:6443 does not answer: connection refused", id="an address"),
    pytest.param(f"registry.example.com/app@sha256:{'0' * 64}", id="an image with its digest"),
    pytest.param(f"docker://app@sha256:{'0' * 64}", id="the same as an address"),
    pytest.param("ask ops@example.com", id="a mail address"),
    pytest.param('resourceVersion: "184467" is too old', id="a resource version"),
    pytest.param("greyjoyabc.example.com", id="a host that looks a little like a token"),
    pytest.param("basic authentication failed, no bearer token was sent", id="names of schemes"),
    pytest.param('WWW-Authenticate: Bearer realm="x"', id="what a server asks for"),
    pytest.param("rbac.authorization.k8s.io/v1 is forbidden", id="an API group"),
    pytest.param("--token-file /var/run/token cannot be read", id="the name of a file"),
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_what_looks_like_a_credential_is_hidden(text: str, shown: str) -> None:
    assert redaction.redact(text) == shown
    assert redaction.redact(shown) == shown, "what comes in is cleaned, and cleaned when it leaves"


@pytest.mark.parametrize("text", KEPT)
def test_what_does_not_is_shown(text: str) -> None:
    assert redaction.redact(text) == text


@pytest.mark.parametrize(
    "part",
    [
        *(
            "a",
            "a-",
            "eyJ-",
            "eyJaaaaa.",
            "--a",
            "--token ",
            "--token-",
            "://",
            "://a",
            "\\",
            ":\\",
        ),
        *("token", 'token:"', "token:{", "token:[ ", 'token:\\"', "token: Invalid value:"),
        *("secret=", 'secret="', "Bearer ", "authorization: ", 'authorization:["', "@sha256:"),
        *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END ", "A ", " "),
    ],
)
@pytest.mark.parametrize("before", ["", "token", "token:", "://", "Bearer", "-----BEGIN ", "--"])
def test_it_takes_no_longer_than_the_text_is_long(before: str, part: str) -> None:
    """What is tried at each place of the text anew would take minutes, not a tenth of a second."""
    text = before + part * (LONG // len(part)) + "key@"
    began = time.process_time()
    redaction.redact(text)
    assert time.process_time() - began < 1.0


def test_quotes_of_all_depths_take_no_longer() -> None:
    text = "".join("token:" + "\\" * depth + '"' for depth in range(440))
    began = time.process_time()
    redaction.redact(text)
    assert time.process_time() - began < 1.0


def test_an_excerpt_holds_no_half_of_a_credential() -> None:
    text = f"{'x' * 90} Authorization: Token abcdef"
    assert redaction.excerpt(text, 110) == f"{'x' * 90} Authorization: …"
    assert redaction.excerpt("x" * 10_000, 110) == "x" * 110


@given(
    st.lists(
        st.sampled_from(
            ("BEARER ", "Basic\n", "abcd", "eyJabcde.fgh", "ftp://me:pw@x", "ToKen", "PASSWORD",
             "passwd", "client-Secret", "ApI_KEY", "key-data", "=x", ": y", " ", "-", "ſ", "K", "İ",
             "to\u212aen=x", "pa\u017f\u017fword=x", "-----BEGIN RSA PRIVATE KEY-----", "Secret",
             "passPhrase", "pWd", "AUTHORization", "--")
        ),
        max_size=5,
    ).map("".join)
)  # fmt: skip
def test_no_text_is_spared_that_a_pattern_would_change(text: str) -> None:
    whole = text
    for pattern, instead in redaction._PATTERNS:
        whole = pattern.sub(instead, whole)
    assert redaction.redact(text) == whole
