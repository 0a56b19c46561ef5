"""A store that goes away, is not there yet, or is full."""

import asyncio
from collections.abc import Callable

import pytest
from httpx import Response
from redis.asyncio import Redis

from async_job import Jobs
from support.servers import Server
from support.web import Site, serve

pytestmark = pytest.mark.store("redis")


def check_away(answer: Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "store_unavailable"
    assert int(answer.headers["retry-after"]) >= 1


async def check_all_away(site: Site, id: str) -> None:
    path = f"/v1/jobs/{id}"
    answers = await asyncio.gather(
        site.post("/start-job"),
        site.post("/v1/jobs", json={"type": "demo"}),
        site.get(f"/status-job/{id}"),
        site.get(path),
        site.get(path, headers={"Prefer": "wait=60"}),
        site.post(f"{path}/cancel"),
        site.get("/readyz"),
    )
    for answer in answers:
        check_away(answer)
    # Also for a proxy that passes its own name on, though nobody knows whether keys are asked for.
    for name in ("localhost", "jobs.example"):
        assert (await site.get("/healthz", headers={"Host": name})).status_code == 200


@pytest.mark.realtime
async def test_a_store_that_is_killed_and_comes_back(make_server: Callable[..., Server]) -> None:
    server = make_server(appendonly=True, appendfsync="always")
    async with serve(Jobs(store=server.url)) as site:
        id = await site.start()
        server.kill()
        await check_all_away(site, id)
        server.restart()
        assert (await site.get(f"/status-job/{id}")).text == "PENDING"
        assert (await site.get("/readyz")).json()["store"]["durable"] is True
        assert (await site.post("/start-job")).status_code == 200


@pytest.mark.realtime
async def test_a_server_that_starts_before_its_store(make_server: Callable[..., Server]) -> None:
    server = make_server(appendonly=True, appendfsync="always")
    server.stop()
    async with serve(Jobs(store=server.url)) as site:
        await check_all_away(site, "5c9f2f45-0aef-48c1-8c9b-2f4d7b5f5a61")
        # Nobody knows yet whether keys are asked for, also by what needs nothing else of the store.
        check_away(await site.get("/status-job/not-a-guid"))
        check_away(await site.post("/start-job", json={"seconds": -1}))
        server.restart()
        assert (await site.post("/start-job")).status_code == 200


@pytest.mark.realtime
async def test_a_job_that_is_stored_is_told_though_the_store_goes_while_the_client_waits(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    jobs = Jobs(store=server.url)
    async with serve(jobs) as site:
        store = await jobs.store()
        before = await store.changes(None, 0)
        body = {"type": "demo"}
        request = asyncio.create_task(site.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}, timeout=90))
        assert (await store.changes(before.cursor, 30)).entries
        server.kill()
        answer = await request
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")


async def test_a_store_without_room(make_server: Callable[..., Server]) -> None:
    server = make_server()
    async with serve(Jobs(store=server.url)) as site:
        id = await site.start()
        async with Redis.from_url(server.url) as redis:
            await redis.config_set("maxmemory", 1)
        answer = await site.post("/start-job")
        assert (answer.status_code, answer.json()["code"]) == (507, "store_full")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await site.get(f"/status-job/{id}")).text == "PENDING"
