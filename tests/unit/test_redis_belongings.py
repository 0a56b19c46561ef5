"""What the Redis store keeps beside jobs: idempotency keys, deliveries, paused queues; where it is and when it goes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from async_job.clock import ManualClock
from async_job.core.delivery import after_try
from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested, RetryRequested
from async_job.store.protocol import Finding, IdempotencyKey, Index
from async_job.store.redis.store import RedisStore
from support.jobs import HOUR, LEASE, claim, end, make_job, make_worker, submit, tell
from support.servers import Server

pytestmark = pytest.mark.store("redis")

SYSTEM = "async-job.sys:"


@pytest.fixture
def client(redis_server: Server) -> Any:
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(redis_server: Server, client: redis.Redis, clock: ManualClock) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_server.url, clock=clock)
    await store.open()
    yield store
    await store.close()


class TestIdempotencyKeys:
    async def test_it_goes_by_itself_an_hour_late_by_the_stores_time(
        self, store: RedisStore, client: redis.Redis
    ) -> None:
        key = IdempotencyKey("me:POST /v1/jobs:k", "f00", store.now() + 2 * HOUR)
        await store.submit([make_job(store.now(), "a")], [key])
        assert client.get(f"{SYSTEM}idempotency:me:POST /v1/jobs:k") == f'["a","f00",{store.now() + 2 * HOUR}]'
        assert 2.9 * HOUR < client.pttl(f"{SYSTEM}idempotency:me:POST /v1/jobs:k") <= 3 * HOUR

    async def test_one_that_is_over_from_the_start_goes_too(self, store: RedisStore, client: redis.Redis) -> None:
        await store.submit([make_job(store.now(), "a")], [IdempotencyKey("k", "f", 0)])
        assert 0 < client.pttl(f"{SYSTEM}idempotency:k") <= HOUR

    async def test_one_that_would_stay_is_found(self, store: RedisStore, client: redis.Redis) -> None:
        await store.submit([make_job(store.now(), "a")], [IdempotencyKey("k", "f", store.now() + HOUR)])
        assert await store.check() == []
        client.persist(f"{SYSTEM}idempotency:k")
        assert await store.check() == [Finding("k", "is an idempotency key that would stay for ever")]

    async def test_a_job_that_is_not_written_keeps_none(self, store: RedisStore, client: redis.Redis) -> None:
        key = IdempotencyKey("k", "f", store.now() + HOUR)
        await submit(store, "held", unique_key="u")
        refused, accepted = make_job(store.now(), "a", unique_key="u"), make_job(store.now(), "b")
        assert [answer.id for answer in await store.submit([refused], [key])] == ["held"]
        assert client.keys(f"{SYSTEM}idempotency:*") == []
        assert [answer.id for answer in await store.submit([accepted], [key])] == ["b"]


class TestLists:
    async def test_records_that_went_by_themselves_are_passed_over(
        self, store: RedisStore, client: redis.Redis, clock: ManualClock
    ) -> None:
        for n in range(40):
            await end(store, f"{n:02}")
            clock.advance(1)
        client.delete(*(f"async-job:{n:02}" for n in range(40) if n != 35))
        for newest in (False, True):
            found = await store.scan(Index(State.CANCELLED), None, 3, newest)
            assert [job.id for _, job in found] == ["35"]
            assert await store.scan(Index(State.CANCELLED), found[0][0], 3, newest) == []


class TestPausedQueues:
    async def test_claims_wake_nobody_for_them(self, store: RedisStore, client: redis.Redis) -> None:
        await store.enroll(make_worker(), LEASE)
        await store.administration.pause("shut")
        await submit(store, "a", "b", queue="open")
        await submit(store, "c", queue="shut")
        client.delete(f"{SYSTEM}wake:open", f"{SYSTEM}wake:shut")
        await claim(store, queues=("shut", "open"), limit=1)
        assert [client.llen(f"{SYSTEM}wake:{queue}") for queue in ("open", "shut")] == [1, 0]
        await store.administration.resume("shut")
        assert client.llen(f"{SYSTEM}wake:shut") == 1
        assert client.exists(f"{SYSTEM}paused") == 0


class TestDeliveries:
    async def test_nothing_is_left_of_them(self, store: RedisStore, client: redis.Redis, clock: ManualClock) -> None:
        for id in ("purged", "deleted"):
            (ended,) = await end(store, id, webhook="hook")
            clock.advance(1)
            await tell(store, ended, RetryRequested())
            await end_again(store, id)
        assert client.hlen(f"{SYSTEM}deliveries") == 4
        assert await store.delete(["deleted"]) == [None]
        assert client.keys(f"{SYSTEM}deliveries:of:*") == [f"{SYSTEM}deliveries:of:purged"]
        clock.advance(25 * 3600)
        assert await store.purge(10) == 1
        assert client.keys(f"{SYSTEM}deliveries*") == []

    async def test_a_job_without_a_webhook_writes_none_of_their_keys(
        self, store: RedisStore, client: redis.Redis
    ) -> None:
        await end(store, "a")
        assert client.keys(f"{SYSTEM}deliver*") == client.keys(f"{SYSTEM}idempotency*") == []

    async def test_an_id_without_a_delivery_is_dropped_when_it_is_due(
        self, store: RedisStore, client: redis.Redis
    ) -> None:
        await end(store, "a", webhook="hook")
        client.zadd(f"{SYSTEM}deliveries:due", {"nobody": 1})
        assert [one.job_id for one in await store.outbox.take(10, LEASE)] == ["a"]
        assert await store.check() == []

    @pytest.mark.parametrize(
        ("damage", "id"),
        [
            (("ZREM", "deliveries:due", "msg"), "a"),
            (("ZADD", "deliveries:due", 1, "msg"), "a"),
            (("ZREM", "deliveries:recent", "msg"), "a"),
            (("DEL", "deliveries:of:a"), "a"),
            (("HDEL", "deliveries", "msg"), "msg"),
            (("ZADD", "deliveries:recent", 1, "nobody"), "nobody"),
        ],
    )
    async def test_damage_is_found(self, store: RedisStore, client: redis.Redis, damage: Any, id: str) -> None:
        await end(store, "a", webhook="hook")
        (message,) = await store.outbox.recent(1)
        assert await store.check() == []
        name, key, *rest = (message.id if part == "msg" else part for part in damage)
        client.execute_command(name, f"{SYSTEM}{key}", *rest)
        assert {finding.id for finding in await store.check()} == {message.id if id == "msg" else id}

    async def test_one_that_is_left_over_is_found(
        self, store: RedisStore, client: redis.Redis, clock: ManualClock
    ) -> None:
        """Unless its job went by itself, for then the purge is still to come."""
        await end(store, "a", webhook="hook")
        (message,) = await store.outbox.take(1, LEASE)
        await store.outbox.settle([after_try(message, 410, "", store.now())])
        clock.advance(26 * 3600)
        client.delete("async-job:a")
        assert await store.check() == []
        client.zrem(f"{SYSTEM}finished:cancelled", "a")
        assert await store.check() == [Finding("a", f"is gone, but not its delivery {message.id}")]


async def end_again(store: RedisStore, id: str) -> None:
    """Cancels the job, which is queued."""
    (job,) = await store.get([id])
    assert job is not None
    await tell(store, job, CancelRequested())


class TestFullServer:
    async def test_what_was_accepted_goes_on(self, store: RedisStore, client: redis.Redis) -> None:
        """Nothing but new work is refused."""
        await end(store, "a", "b", webhook="hook")
        client.config_set("maxmemory", "1")
        try:
            taken = await store.outbox.take(10, LEASE)
            await store.outbox.settle([after_try(one, 204, "", store.now()) for one in taken])
            await store.administration.pause("default")
            await store.administration.resume("default")
            await store.administration.put_document("keys", "one", b"revoked")
            assert await store.delete(["a"]) == [None]
        finally:
            client.config_set("maxmemory", "0")
        assert [(one.job_id, one.status) for one in await store.outbox.recent(10)] == [("b", 204)]
