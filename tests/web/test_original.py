"""The original's endpoints, byte by byte."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from async_job import Jobs
from async_job.core.lifecycle import Event, Failed, Overdue, Succeeded
from support.jobs import error, read, tell
from support.web import Site, claim_all, serve

GUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ROOT = Path(__file__).parents[2]


async def test_start_job_answers_these_bytes(site: Site) -> None:
    answer = await site.exchange(b"POST /start-job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    wanted = (
        rb"HTTP/1\.1 200 OK\r\ndate: [^\r]+ GMT\r\ncontent-type: application/json; charset=utf-8\r\n"
        rb"content-length: 38\r\nconnection: close\r\n\r\n" + b'"' + GUID + b'"'
    )
    assert re.fullmatch(wanted, answer), answer


async def test_status_job_answers_these_bytes(site: Site) -> None:
    id = await site.start()
    request = f"GET /status-job/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    answer = await site.exchange(f"{request}\r\n".encode())
    head, body = answer.split(b"\r\n\r\n")
    assert b"\r\ncontent-type: text/plain; charset=utf-8\r\n" in head
    assert b"\r\ncontent-length: 7\r\n" in head
    assert body == b"PENDING"
    answer = await site.exchange(f"{request}Accept: application/json\r\n\r\n".encode())
    head, body = answer.split(b"\r\n\r\n")
    assert b"\r\ncontent-type: application/json; charset=utf-8\r\n" in head
    assert body == b'"PENDING"'


async def test_a_job_is_stored_before_the_answer_leaves(site: Site, jobs: Jobs, store_url: str) -> None:
    id = await site.start()
    other = jobs if store_url == "memory://" else Jobs(store=store_url)
    job = await other.get(id)
    assert (job.type, job.input, job.state) == ("demo", b"{}", "queued")
    if other is not jobs:
        await other.close()


async def _end(jobs: Jobs, id: str, end: Callable[[str], Event]) -> None:
    await claim_all(jobs)
    store = await jobs.store()
    job = await read(store, id)
    assert job.token is not None
    await tell(store, job, end(job.token))


async def _running(jobs: Jobs, id: str) -> None:
    await claim_all(jobs)


async def _complete(jobs: Jobs, id: str) -> None:
    await _end(jobs, id, lambda token: Succeeded(token, b"null"))


async def _failed(jobs: Jobs, id: str) -> None:
    await _end(jobs, id, lambda token: Failed(token, error(retryable=False)))


async def _cancelled(jobs: Jobs, id: str) -> None:
    await jobs.cancel(id)


async def _nothing(jobs: Jobs, id: str) -> None:
    pass


@pytest.mark.parametrize(
    ("reach", "word"),
    [
        (_nothing, "PENDING"),
        (_running, "STARTING"),
        (_complete, "COMPLETE"),
        (_failed, "FAILED"),
        (_cancelled, "CANCELLED"),
    ],
)
async def test_each_state_has_its_word(
    site: Site, jobs: Jobs, reach: Callable[[Jobs, str], Awaitable[None]], word: str
) -> None:
    id = await site.start()
    await reach(jobs, id)
    for written in (id, id.upper()):
        assert (await site.get(f"/status-job/{written}")).text == word
        as_json = await site.get(f"/status-job/{written}", headers={"Accept": "application/json"})
        assert as_json.text == f'"{word}"'


async def test_an_expired_job_says_so(site: Site, jobs: Jobs) -> None:
    body = {"type": "add", "input": {"a": 1}, "start_within": 0.001}
    id = (await site.post("/v1/jobs", json=body)).json()["id"]
    store = await jobs.store()
    job = await read(store, id)
    assert job.start_by is not None
    while store.now() < job.start_by:
        job = await read(store, id)
    await tell(store, job, Overdue())
    assert (await site.get(f"/status-job/{id}")).text == "EXPIRED"


@pytest.mark.parametrize(
    "id", ["5c9f2f45-0aef-48c1-8c9b-2f4d7b5f5a61", "not-a-guid", "%00", "ä", "'; DROP TABLE jobs", "x" * 4000]
)
async def test_what_is_unknown_or_no_guid_is_empty(site: Site, id: str) -> None:
    answer = await site.get(f"/status-job/{id}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    answer = await site.get(f"/status-job/{id}", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.content) == (200, b"null")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_a_body_is_the_default_jobs_input(site: Site, jobs: Jobs) -> None:
    assert (await jobs.get(await site.start({"seconds": 0.5}))).input == b'{"seconds":0.5}'
    answer = await site.post("/start-job", json={"seconds": 86_401})
    assert answer.status_code == 422
    assert answer.json()["at"] == "$.seconds"


async def test_another_default_takes_the_demos_place() -> None:
    jobs = Jobs(store="memory://")

    @jobs.job(default=True)
    async def mine(name: str = "nobody") -> str:
        return name

    async with serve(jobs) as site:
        job = await jobs.get(await site.start({"name": "Zoë"}))
        assert (job.type, job.input) == ("mine", '{"name":"Zoë"}'.encode())
        assert (await jobs.get(await site.start())).type == "mine"
        assert (await site.post("/start-job/demo")).status_code == 404


async def test_any_type_is_started_by_its_name(site: Site, jobs: Jobs) -> None:
    answer = await site.post("/start-job/add", json={"a": 2, "b": 3})
    assert answer.status_code == 200
    job = await jobs.get(answer.json())
    assert (job.type, job.input) == ("add", b'{"a":2,"b":3}')
    assert (await site.post("/start-job/steps")).status_code == 200


async def test_a_type_that_is_not_there_is_not_found_and_input_that_does_not_fit_is_refused(site: Site) -> None:
    unknown = await site.post("/start-job/nothing", json={})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_type")
    unfit = await site.post("/start-job/add", json={"a": "two"})
    assert (unfit.status_code, unfit.json()["code"], unfit.json()["at"]) == (422, "invalid_input", "$.a")
    missing = await site.post("/start-job/add")
    assert missing.status_code == 422


async def test_a_job_runs_to_its_end(busy_site: Site) -> None:
    id = await busy_site.start({"seconds": 0})
    answer = await busy_site.get(f"/v1/jobs/{id}", headers={"Prefer": "wait=20"})
    assert answer.json()["done"] is True
    assert (await busy_site.get(f"/status-job/{id}")).text == "COMPLETE"


async def test_the_file_of_requests_works_as_it_stands(site: Site) -> None:
    """Sent as both editors do: variables filled in, a request from its first line to ``###``."""
    text = (ROOT / "async-job.http").read_text()
    variables = dict(re.findall(r"^@(\w+) = (.*)$", text, re.MULTILINE))
    requests = re.findall(r"^((?:GET|POST) .*(?:\n[\w-]+: .*)*)$", text, re.MULTILINE)
    answers = []
    for request in requests:
        for name, value in variables.items():
            request = request.replace("{{" + name + "}}", value)
        line, *headers = request.splitlines()
        method, url = line.split(" ")
        path = url.removeprefix("http://127.0.0.1:5079")
        answers.append(await site.request(method, path, headers=[tuple(h.split(": ")) for h in headers]))
        if "guid" in variables and method == "POST":
            variables["guid"] = answers[-1].json()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].text == "PENDING"
