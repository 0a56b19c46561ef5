"""Whatever is sent, the answer is a problem document that says what is wrong; nothing is stored, nothing breaks."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from httpx import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.web import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "5c9f2f45-0aef-48c1-8c9b-2f4d7b5f5a61"
JSON = {"Content-Type": "application/json"}


def check_problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/v1/jobs/{UNKNOWN}", 404, "job_not_found"),
        ("GET", "/v1/jobs/not-a-guid", 404, "job_not_found"),
        ("GET", "/v1/jobs/%00", 404, "job_not_found"),
        ("GET", f"/v1/jobs/{UNKNOWN}/result", 404, "job_not_found"),
        ("GET", "/v1/jobs/x/result", 404, "job_not_found"),
        ("POST", f"/v1/jobs/{UNKNOWN}/cancel", 404, "job_not_found"),
        ("POST", "/v1/jobs/x/cancel", 404, "job_not_found"),
        ("POST", f"/v1/jobs/{UNKNOWN}/retry", 404, "job_not_found"),
        ("POST", "/start-job/nothing", 404, "unknown_type"),
        ("GET", "/", 404, "unknown_path"),
        ("GET", "/v1", 404, "unknown_path"),
        ("GET", f"/v1/jobs/{UNKNOWN}/nothing", 404, "unknown_path"),
        ("POST", "/start-job/", 404, "unknown_path"),
        ("POST", "/v1/jobs/", 404, "unknown_path"),
        ("GET", f"/status-job/{UNKNOWN}/", 404, "unknown_path"),
        ("GET", "/status-job/", 404, "unknown_path"),
        ("POST", "//start-job", 404, "unknown_path"),
    ],
)
async def test_unknown_things_are_not_found(plain: Site, method: str, path: str, status: int, code: str) -> None:
    check_problem(await plain.request(method, path), status, code)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/start-job", "POST, OPTIONS"),
        ("DELETE", "/start-job/demo", "POST, OPTIONS"),
        ("POST", f"/status-job/{UNKNOWN}", "GET, HEAD, OPTIONS"),
        ("PUT", "/v1/jobs", "POST, GET, HEAD, OPTIONS"),
        ("PATCH", f"/v1/jobs/{UNKNOWN}", "GET, DELETE, HEAD, OPTIONS"),
        ("GET", f"/v1/jobs/{UNKNOWN}/cancel", "POST, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("TRACE", "/readyz", "GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_is_told_which_ones_there_are(plain: Site, method: str, path: str, allowed: str) -> None:
    answer = await plain.request(method, path)
    check_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed
    options = await plain.request("OPTIONS", path)
    assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")


async def test_head_is_get_without_its_body(plain: Site) -> None:
    id = await plain.start()
    for path in (f"/status-job/{id}", f"/v1/jobs/{id}", "/healthz", "/v1/jobs/x"):
        get, head = await plain.get(path), await plain.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/start-job", "/start-job/add"])
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nul",
        b"{'type':1}",
        b"{} {}",
        b"[1",
        b'{"type":1,"a":01}',
        b'\xff\xfe{"a":1}',
        b'{"type":"\xff"}',
        b"\0",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_no_json_is_malformed(plain: Site, path: str, body: bytes) -> None:
    check_problem(await plain.post(path, content=body, headers=JSON), 400, "malformed_json")


async def test_v1_needs_a_body(plain: Site) -> None:
    check_problem(await plain.post("/v1/jobs"), 400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "code", "at"),
    [
        ({"type": "nothing"}, "unknown_type", None),
        ({}, "invalid_request", ""),
        ([], "invalid_request", ""),
        ({"type": 1}, "invalid_request", "$.type"),
        ({"type": "add", "wehbook": "http://localhost"}, "invalid_request", ""),
        ({"type": "add"}, "invalid_input", ""),
        ({"type": "add", "input": None}, "invalid_input", ""),
        ({"type": "add", "input": [1]}, "invalid_input", ""),
        ({"type": "add", "input": {"a": "1"}}, "invalid_input", "$.a"),
        ({"type": "add", "input": {"a": 1, "c": 1}}, "invalid_input", ""),
        ({"type": "keep", "priority": 10}, "invalid_option", None),
        ({"type": "keep", "delay": -1}, "invalid_option", None),
        ({"type": "keep", "delay": 1e300}, "invalid_option", None),
        ({"type": "keep", "delay": 1, "run_at": "2030-01-01T00:00:00Z"}, "invalid_option", None),
        ({"type": "keep", "run_at": "9999-12-31T23:59:59Z"}, "invalid_option", None),
        ({"type": "keep", "run_at": "2030-01-01T00:00:00"}, "invalid_request", "$.run_at"),
        ({"type": "keep", "run_at": 5}, "invalid_request", "$.run_at"),
        ({"type": "keep", "queue": "a b"}, "invalid_option", None),
        ({"type": "keep", "start_within": 0}, "invalid_option", None),
        ({"type": "keep", "timeout": 0}, "invalid_option", None),
        ({"type": "keep", "max_attempts": 0}, "invalid_option", None),
        ({"type": "keep", "max_attempts": 2**70}, "invalid_option", None),
        ({"type": "keep", "unique_key": ""}, "invalid_option", None),
        ({"type": "keep", "on_conflict": "overwrite"}, "invalid_request", "$.on_conflict"),
        ({"type": "keep", "labels": {"a b": "c"}}, "invalid_option", None),
        ({"type": "keep", "labels": {"a": 1}}, "invalid_request", "$.labels[...]"),
    ],
)
async def test_what_does_not_fit_is_told_where(plain: Site, body: Any, code: str, at: str | None) -> None:
    problem = check_problem(await plain.post("/v1/jobs", json=body), 422, code)
    if at is not None:
        assert problem["at"] == at


@pytest.mark.parametrize("path", ["/v1/jobs", "/start-job", "/start-job/keep"])
async def test_ten_megabytes_are_too_large(plain: Site, path: str) -> None:
    body = b'{"type":"keep","anything":"' + b"x" * 10_000_000 + b'"}'
    check_problem(await plain.post(path, content=body, headers=JSON), 413, "too_large")


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(plain: Site) -> None:
    request = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nExpect: 100-continue\r\n"
    for length in (10_000_000, 10**30):
        answer = await plain.exchange(request % length + b"Connection: close\r\n\r\n")
        # A length that no server can count to is no HTTP at all.
        assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))
        assert b"100 Continue" not in answer


async def test_a_body_of_unknown_length_is_counted(plain: Site) -> None:
    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 100_000

    check_problem(await plain.post("/start-job", content=chunks(), headers=JSON), 413, "too_large")


async def test_an_input_may_be_smaller_than_the_body(plain: Site) -> None:
    body = {"type": "keep", "input": {"anything": "x" * 300_000}}
    check_problem(await plain.post("/v1/jobs", json=body), 413, "too_large")


async def test_deep_nesting_is_refused_and_brackets_in_strings_are_not(plain: Site) -> None:
    for path, before, after in (("/start-job/keep", "", ""), ("/v1/jobs", '{"type":"keep","input":', "}")):

        async def post(anything: str, path: str = path, before: str = before, after: str = after) -> Response:
            content = f'{before}{{"anything":{anything}}}{after}'
            return await plain.post(path, content=content, headers=JSON)

        check_problem(await post("[" * 64 + "]" * 64), 422, "too_deep")
        assert (await post("[" * 63 + "]" * 63)).is_success
        assert (await post(json.dumps("[{" * 1000 + '\\"' + "[" * 100))).is_success
        assert (await post("[" + "[],{}," * 1000 + "[]]")).is_success
        assert (await post("[" * 100_000)).status_code in (400, 422)


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-16", "", None]
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/start-job", "/start-job/keep"])
async def test_another_content_type_is_told_what_to_add(plain: Site, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    problem = check_problem(
        await plain.post(path, content=b'{"type":"keep"}', headers=headers), 415, "unsupported_media_type"
    )
    assert "-H 'Content-Type: application/json'" in problem["detail"]


async def test_a_compressed_body_is_not_taken(plain: Site) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    check_problem(await plain.post("/start-job", content=b"{}", headers=headers), 415, "unsupported_content_encoding")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; Charset=UTF-8", "application/x+json"])
async def test_json_has_these_content_types(plain: Site, content_type: str) -> None:
    answer = await plain.post("/start-job/keep", content=b"{}", headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("key", [b"", b'"', b'""', b"a b", b"a" * 256, b'"a"b"', "ä".encode()])
@pytest.mark.parametrize("path", ["/v1/jobs", "/start-job/keep", "/v1/job-types/keep/jobs", "/v1/jobs/batch"])
async def test_an_idempotency_key_that_is_none(plain: Site, path: str, key: bytes) -> None:
    body = {"jobs": [{"type": "keep"}]} if path.endswith("batch") else {"type": "keep"}
    answer = await plain.post(path, json=body, headers={b"Idempotency-Key": key})
    check_problem(answer, 400, "invalid_idempotency_key")


async def test_a_sound_request_id_is_taken_over(plain: Site) -> None:
    answer = await plain.get("/nothing", headers={"X-Request-Id": "abc-1"})
    assert check_problem(answer, 404, "unknown_path")["request_id"] == "abc-1"
    answer = await plain.get("/nothing", headers={"X-Request-Id": "a b" + "x" * 200})
    assert len(check_problem(answer, 404, "unknown_path")["request_id"]) == 36


TEXTS = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    [
        "type",
        "input",
        "queue",
        "priority",
        "delay",
        "run_at",
        "start_within",
        "timeout",
        "max_attempts",
        "unique_key",
        "on_conflict",
        "labels",
    ]
)
BODIES = st.one_of(
    st.binary(max_size=100),
    VALUES.map(json.dumps).map(str.encode),
    st.dictionaries(FIELDS, VALUES, max_size=6)
    .map(lambda given: {"type": "keep", **given})
    .map(lambda given: json.dumps(given).encode()),
)
PATHS = st.sampled_from(["/v1/jobs", "/start-job", "/start-job/keep", "/start-job/add", f"/v1/jobs/{UNKNOWN}/cancel"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=PATHS,
    body=BODIES,
    header=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip),
)
async def test_no_body_brings_the_server_down(plain: Site, path: str, body: bytes, header: str) -> None:
    headers = {**JSON, "Prefer": header, "If-None-Match": header, "Accept": header, "X-Request-Id": header}
    answer = await plain.post(path, content=body, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 202:
        assert (await plain.get(answer.headers["location"])).status_code == 200


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefix=st.sampled_from(["/", "/status-job/", "/start-job/", "/v1/jobs/", "/v1/"]),
    rest=st.binary(max_size=30),
    accept=st.text(st.sampled_from("application/json, text/*;q=0.1"), max_size=30).map(str.strip),
)
async def test_no_path_brings_the_server_down(plain: Site, prefix: str, rest: bytes, accept: str) -> None:
    answer = await plain.get(prefix + quote(rest, safe=""), headers={"Accept": accept})
    assert answer.status_code in (200, 404, 405), answer.text
