"""Two trips are in flight on one connection: each gets its own answers, also when the connection is lost under both."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from async_job import Jobs
from async_job.core.job import State
from async_job.core.lifecycle import Succeeded
from async_job.store.redis.store import RedisStore
from async_job.worker.worker import Worker
from support.jobs import LEASE, change, claim, make_worker, submit
from support.proxy import Proxy
from support.servers import Server
from support.until import until

pytestmark = pytest.mark.store("redis")


@pytest.fixture
async def proxy(redis_server: Server) -> AsyncIterator[Proxy]:
    redis_server.flush()
    async with Proxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
async def store(proxy: Proxy) -> AsyncIterator[RedisStore]:
    store = RedisStore(proxy.url)
    await store.open()
    await store.enroll(make_worker(), LEASE)
    yield store
    assert await store.check() == []
    await store.close()


async def underway() -> None:
    """Lets what was begun be sent, and nothing be answered."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("lost", ["neither", "the first answer", "both"])
async def test_two_claims_in_flight(store: RedisStore, proxy: Proxy, lost: str) -> None:
    await submit(store, *"abcdef")
    if lost != "neither":
        proxy.cut_next_reply(to=b"w:1" if lost == "the first answer" else b"w:2")
    first = asyncio.ensure_future(claim(store, 1, limit=2))
    await underway()
    second = asyncio.ensure_future(claim(store, 2, limit=2))
    held = await asyncio.gather(first, second)
    assert [[job.id for job in jobs] for jobs in held] == [["a", "b"], ["c", "d"]]
    assert [job.id for job in await claim(store, 3)] == ["e", "f"]
    assert proxy.cuts == (lost != "neither")


async def test_outcomes_and_claims_of_two_trips(store: RedisStore, proxy: Proxy) -> None:
    await submit(store, *"abcdefgh")
    held = [await claim(store, n, limit=2) for n in (1, 2)]
    proxy.cut_next_reply(to=b"w:3")
    trips = []
    for n, jobs in enumerate(held, 3):
        outcomes = [change(job, Succeeded(job.token or "", b"1"), store.now()) for job in jobs]
        trips.append(asyncio.gather(store.apply(outcomes), claim(store, n, limit=2)))
        await underway()
    answers = await asyncio.gather(*trips)
    assert [[job.id for job in claimed] for _, claimed in answers] == [["e", "f"], ["g", "h"]]
    assert (await store.counts()).states[State.SUCCEEDED] == 4


async def test_a_caller_that_goes_takes_no_answer_with_it(store: RedisStore) -> None:
    await submit(store, *"ab")
    link = store._link
    for _ in range(5):
        leaving = asyncio.ensure_future(link.ask(("TIME",)))
        staying = asyncio.ensure_future(link.ask(("GET", "nothing")))
        await underway()
        leaving.cancel()
        assert await staying == [None]
        with pytest.raises(asyncio.CancelledError):
            await leaving


@pytest.mark.parametrize("cut_every", [0, 5])
async def test_a_worker_runs_each_job_once_and_never_more_than_it_may(proxy: Proxy, cut_every: int) -> None:
    """Also if the answer to each fifth trip is lost."""
    jobs = Jobs(store=proxy.url, concurrency=6, workers=0)
    ran: list[int] = []
    running = most = 0
    finished = asyncio.Event()

    @jobs.job
    async def count(n: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(n % 7):
            await asyncio.sleep(0)
        running -= 1
        ran.append(n)
        if len(ran) == 120:
            finished.set()

    await jobs.submit_many([count.request(n) for n in range(120)])
    store: Any = await jobs.store()
    await store.enroll(make_worker("x"), LEASE)
    worker = Worker(jobs, store, "x", children=None)
    working = asyncio.create_task(worker.run())
    proxy.cut_every = cut_every
    await finished.wait()
    worker.drain()
    await working
    proxy.cut_every = 0
    assert sorted(ran) == list(range(120))
    assert 3 < most <= 6
    assert (await store.counts()).states[State.SUCCEEDED] == 120
    assert await store.check() == []
    await jobs.close()


async def test_the_second_is_sent_before_the_first_is_answered(store: RedisStore, redis_server: Server) -> None:
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        first = asyncio.ensure_future(store._link.ask(("BLPOP", "list", 0), block=30))
        await underway()
        second = asyncio.ensure_future(store._link.ask(("GET", "nothing")))
        # A blocked client's next command waits at the server.
        await until(lambda: [one for one in client.client_list() if "b" in one["flags"] and int(one["qbuf"])])
        assert not first.done()
        client.rpush("list", "a")
    assert await asyncio.gather(first, second) == [[[b"list", b"a"]], [None]]
