"""Row 19 of the fault matrix: 200 bad bodies, by real HTTP. None is taken, and none is an error of the server's."""

import json
from itertools import product

from httpx import Response

from support.web import Site, make_jobs, serve

PATHS = [
    "/start-job",
    "/start-job/add",
    "/v1/jobs",
    "/v1/jobs/batch",
    "/v1/job-types/add/jobs",
    "/v1/jobs/bulk/cancel",
    "/v1/webhooks/endpoints",
    "/v1/tickets",
]
DEEP = 100_000
BODIES: dict[str, bytes] = {
    "larger than any body may be": b'{"a":"' + b"x" * (5 << 20) + b'"}',
    "larger, and no JSON": b"x" * (5 << 20),
    "larger than any body may be, of spaces": b" " * (5 << 20) + b"{}",
    "100,000 lists in one another": b"[" * DEEP + b"]" * DEEP,
    "100,000 objects in one another": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "100,000 lists that are not closed": b"[" * DEEP,
    "100,000 objects in the input": b'{"type":"add","input":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "an integer of 100,000 digits": b'{"a":' + b"9" * DEEP + b"}",
    "a huge integer as priority": b'{"type":"add","input":{"a":1},"priority":' + b"9" * 400 + b"}",
    "a huge exponent": b'{"a":1e999999999}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "a number with a zero in front": b'{"a":007}',
    "bytes that are no UTF-8": b'{"a":"\xff\xfe"}',
    "UTF-8 of a surrogate": b'{"a":"\xed\xa0\x80"}',
    "UTF-8 that is too long": b'{"a":"\xc0\xaf"}',
    "half a surrogate, escaped": b'{"a":"\\ud800"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "NUL between the words": b'{"a":\x001}',
    "NUL in a name": b'{"a\\u0000":1}',
    "NUL in a type": b'{"type":"add\\u0000","input":{"a":1}}',
    "CRLF in a name": b'{"a\\r\\nX-Injected: 1":1}',
    "CRLF in a label": b'{"type":"add","input":{"a":1},"labels":{"a\\r\\nb":"c"}}',
    "cut off": b'{"type":"add","input":{"a":1',
}
CASES = list(product(PATHS, BODIES))


def check(answer: Response, case: tuple[str, str]) -> None:
    assert 400 <= answer.status_code < 500, (case, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json", case
    assert "x-injected" not in answer.headers
    assert json.loads(answer.content)["status"] == answer.status_code


async def test_200_bad_bodies() -> None:
    assert len(CASES) == 200
    jobs = make_jobs("memory://")
    async with serve(jobs) as site:
        for path, name in CASES:
            answer = await site.post(path, content=BODIES[name], headers={"Content-Type": "application/json"})
            check(answer, (path, name))
        await nothing_was_stored(site)
        assert (await site.post("/v1/job-types/add/jobs", json={"a": 1})).status_code == 202


async def nothing_was_stored(site: Site) -> None:
    assert (await site.get("/v1/jobs")).json()["items"] == []
    assert (await site.get("/v1/webhooks/endpoints")).json()["items"] == []
