"""Keys over time: made, used too often, revoked; tickets; and who is let in where there are none."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest

from async_job import Jobs, asgi
from async_job.access.key_ring import STALE
from async_job.access.keys import SCOPES, ApiKey, Keys
from async_job.clock import ManualClock
from support.web import Site, claim_all, serve

LATER = STALE / 1000


class Clocked(NamedTuple):
    """A server on a clock that stands still."""

    site: Site
    jobs: Jobs
    clock: ManualClock

    async def make(self, *scopes: str, rate: int | None = None) -> tuple[ApiKey, dict[str, str]]:
        """A key that the server knows, and the header that bears it."""
        key, text = await Keys(await self.jobs.store()).create("somebody", scopes or SCOPES, rate)
        self.clock.advance(LATER)
        return key, {"Authorization": f"Bearer {text}"}

    async def revoke(self, key: ApiKey) -> None:
        await Keys(await self.jobs.store()).revoke(key.id)
        self.clock.advance(LATER)

    async def ticket(self, id: str, headers: dict[str, str]) -> str:
        answer = await self.site.post("/v1/tickets", json={"job": id}, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["events"] == f"/v1/jobs/{id}/events?ticket={answer.json()['ticket']}"
        return str(answer.json()["events"])


@pytest.fixture
async def clocked(store_url: str) -> AsyncIterator[Clocked]:
    clock = ManualClock()
    jobs = Jobs(store=store_url, clock=clock)
    async with serve(jobs) as site:
        yield Clocked(site, jobs, clock)


async def test_the_first_key_closes_and_the_last_one_leaves_it_closed(clocked: Clocked) -> None:
    site = clocked.site
    assert (await site.get("/v1/jobs")).status_code == 200
    key, headers = await clocked.make()
    assert (await site.get("/v1/jobs")).status_code == 401
    assert (await site.get("/v1/jobs", headers=headers)).status_code == 200
    await clocked.revoke(key)
    for sent in (headers, {}):
        assert (await site.get("/v1/jobs", headers=sent)).status_code == 401
    _, headers = await clocked.make()
    assert (await site.get("/v1/jobs", headers=headers)).status_code == 200


async def test_a_key_that_is_sent_where_none_is_asked_for_does_no_harm(clocked: Clocked) -> None:
    assert (await clocked.site.get("/v1/jobs", headers={"Authorization": "Bearer aj_x"})).status_code == 200


async def test_a_rate(clocked: Clocked) -> None:
    _, headers = await clocked.make(rate=2)
    _, others = await clocked.make()
    path = "/v1/job-types"
    first, second, third = [await clocked.site.get(path, headers=headers) for _ in range(3)]
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert [answer.headers["ratelimit"] for answer in (first, second, third)] == [
        '"key";r=1;t=30',
        '"key";r=0;t=60',
        '"key";r=0;t=60',
    ]
    assert third.headers["ratelimit-policy"] == '"key";q=2;w=60'
    assert third.headers["retry-after"] == "30"
    assert third.json()["code"] == "rate_limited"
    unlimited = await clocked.site.get(path, headers=others)
    assert unlimited.status_code == 200
    assert "ratelimit" not in unlimited.headers
    assert (await clocked.site.get("/healthz", headers=headers)).status_code == 200
    clocked.clock.advance(30)
    unknown = "/v1/jobs/0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10"
    assert (answer := await clocked.site.get(unknown, headers=headers)).status_code == 404
    assert answer.headers["ratelimit"] == '"key";r=0;t=60'
    assert (await clocked.site.get(path, headers=headers)).status_code == 429


async def test_streams_are_told_of_it_too(clocked: Clocked) -> None:
    _, headers = await clocked.make(rate=60)
    id = await started(clocked, headers)
    for path in (f"/v1/jobs/{id}/events", "/v1/events"):
        headed = await clocked.site.head(path, headers=headers)
        async with clocked.site.stream("GET", path, headers=headers) as stream:
            assert stream.headers["ratelimit-policy"] == '"key";q=60;w=60'
            # HEAD says what GET would, and has no length of its own.
            wanted = [name for name in stream.headers if name not in ("date", "transfer-encoding", "ratelimit")]
            assert {name: headed.headers[name] for name in wanted} == {name: stream.headers[name] for name in wanted}
        assert "content-length" not in headed.headers


async def test_requests_without_the_scope_count_too(clocked: Clocked) -> None:
    _, headers = await clocked.make("metrics", rate=1)
    answers = [await clocked.site.get("/v1/jobs", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [403, 429]


async def test_a_ticket_opens_the_stream_of_its_job_once(clocked: Clocked) -> None:
    _, headers = await clocked.make("create", "read", "manage")
    site, id, other = clocked.site, *[await started(clocked, headers) for _ in range(2)]
    path = await clocked.ticket(id, headers)
    for wrong in (path.replace(id, other), path.replace("/events", ""), path.replace("/events", "/result")):
        assert (await site.get(wrong)).status_code == 401
    await site.post(f"/v1/jobs/{id}/cancel", headers=headers)
    answer = await site.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: result" in answer.text
    again = await site.get(path)
    assert (again.status_code, again.json()["code"]) == (401, "ticket_unknown")


@pytest.mark.parametrize("store_url", ["memory://"])
async def test_a_ticket_opens_it_beside_a_password_for_a_proxy_but_not_beside_a_key(clocked: Clocked) -> None:
    _, headers = await clocked.make("create", "read", "manage")
    id = await started(clocked, headers)
    await clocked.site.post(f"/v1/jobs/{id}/cancel", headers=headers)
    path = await clocked.ticket(id, headers)
    for sent in ({"Authorization": "Bearer aj_x"}, {"X-API-Key": "aj_x"}):
        answer = await clocked.site.get(path, headers=sent)
        assert (answer.status_code, answer.json()["code"]) == (401, "key_unknown")
    assert (await clocked.site.get(path, headers={"Authorization": "Basic dXNlcjpwYXNz"})).status_code == 200


async def test_a_ticket_is_for_reading_alone(clocked: Clocked) -> None:
    _, headers = await clocked.make()
    id = await started(clocked, headers)
    query = (await clocked.ticket(id, headers)).partition("?")[2]
    for method, path in (("POST", f"/v1/jobs/{id}/cancel"), ("DELETE", f"/v1/jobs/{id}"), ("GET", "/v1/events")):
        assert (await clocked.site.request(method, f"{path}?{query}")).status_code == 401


async def test_a_ticket_lives_five_minutes(clocked: Clocked) -> None:
    _, headers = await clocked.make()
    id = await started(clocked, headers)
    path = await clocked.ticket(id, headers)
    clocked.clock.advance(300)
    assert (await clocked.site.get(path)).status_code == 401


async def test_a_ticket_is_no_longer_good_than_its_key(clocked: Clocked) -> None:
    key, headers = await clocked.make()
    id = await started(clocked, headers)
    path = await clocked.ticket(id, headers)
    await clocked.revoke(key)
    assert (await clocked.site.get(path)).status_code == 401


async def test_a_ticket_where_no_key_is_asked_for(clocked: Clocked) -> None:
    id = await clocked.site.start()
    await clocked.site.post(f"/v1/jobs/{id}/cancel")
    path = await clocked.ticket(id, {})
    assert (await clocked.site.get(path)).status_code == 200
    path = await clocked.ticket(id, {})
    await clocked.make()
    assert (await clocked.site.get(path)).status_code == 401


@pytest.mark.parametrize("body", [{}, {"job": 1}, {"job": "x", "scope": "admin"}])
async def test_what_is_no_request_for_a_ticket(clocked: Clocked, body: dict[str, object]) -> None:
    assert (await clocked.site.post("/v1/tickets", json=body)).status_code == 422


async def test_there_is_no_ticket_for_what_is_no_job(clocked: Clocked) -> None:
    for id in ("x", "0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10"):
        answer = await clocked.site.post("/v1/tickets", json={"job": id})
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_a_stream_says_nothing_more_to_a_revoked_key(clocked: Clocked) -> None:
    key, headers = await clocked.make()
    id = await started(clocked, headers)
    async with clocked.site.stream("GET", f"/v1/jobs/{id}/events", headers=headers) as stream:
        chunks = stream.aiter_text()
        assert "event: snapshot" in await anext(chunks)
        await clocked.revoke(key)
        await clocked.jobs.cancel(id)
        assert [chunk async for chunk in chunks] == []


async def test_a_stream_goes_on_for_a_key_that_is_good(clocked: Clocked) -> None:
    _, headers = await clocked.make()
    id = await started(clocked, headers)
    async with clocked.site.stream("GET", f"/v1/jobs/{id}/events", headers=headers) as stream:
        chunks = stream.aiter_text()
        assert "event: snapshot" in await anext(chunks)
        clocked.clock.advance(LATER)
        await claim_all(clocked.jobs)
        assert '"state":"running"' in await anext(chunks)
        await asyncio.wait_for(clocked.site.get("/healthz"), 20)


async def started(clocked: Clocked, headers: dict[str, str]) -> str:
    return str((await clocked.site.post("/start-job", headers=headers)).json())


def client(jobs: Jobs, peer: str = "127.0.0.1", here: str = "http://127.0.0.1:5079") -> httpx.AsyncClient:
    """A request that comes from ``peer``, as a server on the address ``here`` hands it on."""
    transport = httpx.ASGITransport(asgi.app(jobs), client=(peer, 1))
    return httpx.AsyncClient(transport=transport, base_url=here)


@pytest.mark.parametrize(
    ("peer", "here", "host", "open"),
    [
        ("127.0.0.1", "http://127.0.0.1:5079", "127.0.0.1", True),
        ("::1", "http://[::1]:5079", "127.0.0.1", True),
        ("testclient", "http://testserver", "127.0.0.1", True),
        ("192.0.2.7", "http://127.0.0.1:5079", "127.0.0.1", False),
        ("127.0.0.1", "http://192.0.2.1:5079", "127.0.0.1", False),
        ("192.0.2.7", "http://192.0.2.1:5079", "127.0.0.1", False),
        ("192.0.2.7", "http://jobs.example", "127.0.0.1", False),
        ("127.0.0.1", "http://127.0.0.1:5079", "0.0.0.0", False),
    ],
)
async def test_without_keys_only_this_machine_is_served(peer: str, here: str, host: str, open: bool) -> None:
    async with Jobs(store="memory://", host=host) as jobs, client(jobs, peer, here) as someone:
        assert (await someone.get("/v1/jobs")).status_code == (200 if open else 401)
        assert (await someone.get("/healthz")).status_code == 200
    async with Jobs(store="memory://", host=host, allow_open=True) as jobs, client(jobs, peer, here) as someone:
        assert (await someone.get("/v1/jobs")).status_code == 200


async def test_allow_open_asks_for_keys_once_there_are_some() -> None:
    async with Jobs(store="memory://", allow_open=True) as jobs, client(jobs, "192.0.2.7") as someone:
        key, text = await Keys(await jobs.store()).create("ci", SCOPES)
        assert (await someone.get("/v1/jobs")).status_code == 401
        assert (await someone.get("/v1/jobs", headers={"X-API-Key": text})).status_code == 200
        assert key.id


async def test_a_proxy_may_pass_its_own_name_where_keys_are_asked_for(clocked: Clocked) -> None:
    named = {"Host": "jobs.example"}
    assert (await clocked.site.get("/v1/jobs", headers=named)).status_code == 421
    _, headers = await clocked.make()
    assert (await clocked.site.get("/v1/jobs", headers=named | headers)).status_code == 200
    assert (await clocked.site.get("/v1/jobs", headers=named)).status_code == 401
