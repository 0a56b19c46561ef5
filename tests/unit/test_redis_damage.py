"""A record in Redis that cannot be read, as one of a newer version may be, holds up no other job and no delivery."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested
from async_job.errors import StoreBroken
from async_job.store.protocol import Due, Index
from async_job.store.redis.store import RedisStore
from support.jobs import HOUR, LEASE, change, claim, end, make_worker, submit
from support.servers import Server

pytestmark = pytest.mark.store("redis")


@pytest.fixture
def client(redis_server: Server) -> Any:
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def store(redis_server: Server, client: redis.Redis) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_server.url)
    await store.open()
    yield store
    await store.close()


async def test_a_damaged_record_is_told(store: RedisStore, client: redis.Redis) -> None:
    await submit(store, "a")
    client.hset("async-job:a", "attempt", "many")
    with pytest.raises(StoreBroken, match="job a cannot be read"):
        await store.get(["a"])
    [finding] = await store.check()
    assert (finding.id, finding.problem[:16]) == ("a", "cannot be read: ")


async def test_a_damaged_record_fails_only_who_asks_for_it(store: RedisStore, client: redis.Redis) -> None:
    """Whatever it is that goes with it in one group."""
    bad, good, _ = await submit(store, "a", "b", "c")
    client.hset("async-job:a", mapping={"attempt": "many", "state": "running"})
    index = Index(State.QUEUED, "default")
    answers: list[Any] = await asyncio.gather(
        *(store.apply([change(job, CancelRequested(), store.now())]) for job in (bad, good)),
        *(store.scan(index, None, 1, newest) for newest in (False, True)),
        *(store.get([id]) for id in ("a", "b")),
        return_exceptions=True,
    )
    assert [isinstance(answer, StoreBroken) for answer in answers] == [True, False] * 3
    (cancelled,), ((_, newest),), (read,) = answers[1::2]
    assert (cancelled.state, newest.id, read) == (State.CANCELLED, "c", cancelled)


async def test_a_damaged_record_holds_up_no_other_job(
    store: RedisStore, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await submit(store, "a", "b", "c")
    await submit(store, "d", "e", queue="late", start_by=1)
    for id in "bd":
        client.hset(f"async-job:{id}", "labels", "?")
    await store.enroll(make_worker(), LEASE)
    # The second time it is asked again.
    for _ in range(2):
        assert [job.id for job in await claim(store, limit=9)] == ["a", "c"]
    assert caplog.text.count("left out: job b cannot be read") == 2
    assert [job.id for job in await store.overdue(9)] == ["e"]
    assert [job.id for job in await store.retire("w")] == ["a", "c"]
    assert [job.id for job in await store.rescuable(9)] == ["a", "c"]
    assert await store.due() == Due(rescuable=True, overdue=True, deliveries=False)


async def test_a_damaged_delivery_holds_up_no_other(
    store: RedisStore, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await end(store, "a", "b", "c", webhook="hook")
    [one, other, _] = sorted(client.hgetall("async-job.sys:deliveries").items())
    client.hset("async-job.sys:deliveries", mapping={one[0]: "?", other[0]: other[1].replace("pending", "odd")})
    assert [delivery.job_id for delivery in await store.outbox.take(9, HOUR)] == ["c"]
    assert await store.outbox.take(9, HOUR) == []
    assert [delivery.job_id for delivery in await store.outbox.recent(9)] == ["c"]
    assert caplog.text.count("left out: a delivery cannot be read") == 4
