"""A server that forgets, is full, is busy, or whose answer is lost: nothing happens twice, and nothing is stranded."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from async_job import Jobs
from async_job.bulk import Action, Bulk
from async_job.core.job import LogLine, Progress, State
from async_job.core.lifecycle import CancelRequested, Succeeded
from async_job.errors import LeaseOver, NotEnrolled, StaleClaim, StoreFull, StoreUnavailable, UsageError
from async_job.store.protocol import Answer, Beat, ClaimId, Stale, Submitted
from async_job.store.redis.scripts import HASHES
from async_job.store.redis.store import RedisStore
from support.jobs import LEASE, change, claim, entries, make_job, make_worker, read, run, submit, tell
from support.proxy import Proxy
from support.servers import Server
from support.until import until

pytestmark = pytest.mark.store("redis")

MakeServer = Callable[..., Server]


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(redis_server: Server) -> AsyncIterator[RedisStore]:
    redis_server.flush()
    async with opened(redis_server.url) as store:
        yield store


@pytest.fixture
def client(redis_server: Server) -> Any:
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client


async def test_scripts_that_the_server_forgot_are_loaded_again(store: RedisStore, client: redis.Redis) -> None:
    client.script_flush()
    await submit(store, "a", "b")
    client.script_flush()
    await store.enroll(make_worker(), LEASE)
    client.script_flush()
    jobs = await claim(store, limit=1)
    client.script_flush()
    assert await store.report([Beat("a", "w:1", Progress(1))]) == [Answer.OK]
    client.script_flush()
    applied, claimed, counts = await asyncio.gather(
        store.apply([change(jobs[0], Succeeded("w:1", b"1"), store.now())]),
        store.claim(ClaimId("w", 2), ["default"], 1),
        store.counts(),
    )
    assert not isinstance(applied[0], Stale)
    assert ([job.id for job in claimed.jobs], counts.states[State.RUNNING]) == (["b"], 1)
    client.script_flush()
    assert await store.check() == []


async def test_a_full_server_refuses_new_jobs_and_finishes_the_others(make_server: MakeServer) -> None:
    server = make_server()
    async with opened(server.url) as store:
        with redis.Redis.from_url(server.url) as client:
            jobs = await run(store, *(f"{n}" for n in range(20)))
            await submit(store, "next")
            await submit(store, "last", priority=-1)
            client.config_set("maxmemory", "1")
            new = make_job(store.now(), "new")
            refused, applied, beats, claimed, found = await asyncio.gather(
                store.submit([new]),
                store.apply([change(job, Succeeded("w:1", b"1"), store.now()) for job in jobs[:19]]),
                store.report([Beat("19", "w:1", Progress(1), (LogLine(1, "x" * 1000),))]),
                store.claim(ClaimId("w", 2), ["default"], 1),
                store.get(["next"]),
                return_exceptions=True,
            )
            assert isinstance(refused, StoreFull)
            assert not any(isinstance(answer, Stale) for answer in applied)  # type: ignore[union-attr]
            assert beats == [Answer.OK]
            assert [job.id for job in claimed.jobs] == ["next"]  # type: ignore[union-attr]
            assert found[0].id == "next"  # type: ignore[index, union-attr]
            assert await store.extend(["w"], LEASE) == [True]
            await store.enroll(make_worker("v"), LEASE)
            assert [job.id for job in await store.retire("w")] == ["19", "next"]
            assert await store.get(["new"]) == [None]
            assert (await store.health()).backend
            client.config_set("maxmemory", "0")
            assert await store.submit([new]) == [Submitted("new", created=True)]
        assert await store.check() == []


class TestLostReplies:
    @pytest.fixture
    async def proxy(self, redis_server: Server) -> AsyncIterator[Proxy]:
        redis_server.flush()
        async with Proxy(redis_server.port) as proxy:
            yield proxy

    async def test_of_a_submit(self, proxy: Proxy) -> None:
        async with opened(proxy.url) as store:
            proxy.cut_next_reply()
            jobs = [make_job(store.now(), "a", unique_key="k"), make_job(store.now(), "b")]
            assert await store.submit(jobs) == [Submitted("a", created=True), Submitted("b", created=True)]
            assert len(await entries(store, "0")) == 2
            assert (proxy.cuts, await store.check()) == (1, [])

    async def test_of_a_claim(self, proxy: Proxy) -> None:
        async with opened(proxy.url) as store:
            await submit(store, *"abcd")
            await store.enroll(make_worker(), LEASE)
            proxy.cut_next_reply()
            jobs = await claim(store, limit=2)
            assert [(job.id, job.attempt, job.version) for job in jobs] == [("a", 1, 2), ("b", 1, 2)]
            assert ((await store.counts()).states[State.RUNNING], proxy.cuts) == (2, 1)
            assert [job.id for job in await claim(store, 2)] == ["c", "d"]
            assert await store.check() == []

    async def test_of_an_outcome_with_the_next_claim(self, proxy: Proxy) -> None:
        async with opened(proxy.url) as store:
            (job,) = await run(store, "a")
            await submit(store, "b")
            proxy.cut_next_reply()
            (answer,), claimed = await asyncio.gather(
                store.apply([change(job, Succeeded("w:1", b"1"), store.now())]),
                store.claim(ClaimId("w", 2), ["default"], 5),
            )
            assert answer == await read(store, "a")
            assert (answer.state, answer.version) == (State.SUCCEEDED, 3)
            assert ([job.id for job in claimed.jobs], proxy.cuts) == (["b"], 1)
            assert await store.check() == []

    async def test_of_a_cancel_and_a_retry(self, proxy: Proxy) -> None:
        jobs = Jobs(store=proxy.url)

        @jobs.job
        async def nothing() -> None: ...

        handle = await nothing.submit()
        for word, ask in (("cancelled", jobs.cancel), ("queued", jobs.retry)):
            proxy.cut_next_reply(to=HASHES["apply"].encode())
            assert (await ask(handle.id)).state == word
        proxy.cut_next_reply(to=HASHES["apply"].encode())
        outcome = await Bulk(await jobs.store(), Action.CANCEL, jobs.retention).on_ids([handle.id])
        assert (outcome.changed, proxy.cuts) == (1, 3)
        await jobs.close()

    async def test_of_a_lease(self, proxy: Proxy) -> None:
        async with opened(proxy.url) as store:
            proxy.cut_next_reply()
            await store.enroll(make_worker(), LEASE)
            proxy.cut_next_reply()
            assert await store.extend(["w"], LEASE) == [True]
            assert proxy.cuts == 2

    async def test_again_and_again(self, proxy: Proxy) -> None:
        async with opened(proxy.url) as store:
            await store.enroll(make_worker(), LEASE)
            for n in range(1, 30):
                proxy.cut_next_reply()
                await submit(store, f"{n}")
                proxy.cut_next_reply()
                (job,) = await claim(store, n)
                proxy.cut_next_reply()
                await tell(store, job, Succeeded(f"w:{n}", b"1"))
            assert (await store.counts()).states[State.SUCCEEDED] == 29
            assert len(await entries(store, "0")) == 3 * 29
            assert (proxy.cuts, await store.check()) == (87, [])

    async def test_of_a_waiting_read(self, proxy: Proxy) -> None:
        async with opened(proxy.url) as store:
            start = (await store.changes(None, 0)).cursor
            proxy.cut_next_reply(b"XREAD")
            waiting = asyncio.ensure_future(store.changes(start, 30))
            await submit(store, "a")
            assert [entry.id for entry in (await waiting).entries] == ["a"]
            assert proxy.cuts == 1


async def test_connections_that_the_server_closed_are_made_anew(store: RedisStore, client: redis.Redis) -> None:
    await store.enroll(make_worker(), LEASE)
    for n in range(1, 5):
        for one in client.client_list():
            if one["name"] == "async-job":
                client.client_kill_filter(_id=one["id"])
        await asyncio.gather(submit(store, f"{n}"), store.extend(["w"], LEASE))
        assert [job.id for job in await claim(store, n)] == [f"{n}"]


async def test_each_refusal_of_a_claim_is_its_own_error(store: RedisStore) -> None:
    with pytest.raises(NotEnrolled, match="worker w"):
        await claim(store)
    await store.enroll(make_worker(), 0)
    with pytest.raises(LeaseOver, match="worker w"):
        await claim(store)
    await store.extend(["w"], LEASE)
    await claim(store, 3)
    with pytest.raises(StaleClaim, match="claim 1"):
        await claim(store, 1)


async def test_one_that_is_refused_takes_no_other_with_it(store: RedisStore, client: redis.Redis) -> None:
    await submit(store, "a")
    client.set("async-job:text", "1")
    refused, stale, found, submitted = await asyncio.gather(
        store.claim(ClaimId("nobody", 1), ["default"], 1),
        store.apply([change(make_job(1, "text"), CancelRequested(), 1)]),
        store.get(["text", "a"]),
        store.submit([make_job(store.now(), "b")]),
        return_exceptions=True,
    )
    assert isinstance(refused, NotEnrolled)
    assert stale == [Stale(None)]
    assert [job and job.id for job in found] == [None, "a"]  # type: ignore[union-attr]
    assert submitted == [Submitted("b", created=True)]


async def test_a_cancelled_wait_leaves_no_half_read_connection(store: RedisStore, client: redis.Redis) -> None:
    for n in range(10):
        waiting = asyncio.ensure_future(store.wait(["default"], 30))
        await until(lambda: client.info("clients")["blocked_clients"])
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await submit(store, f"{n}")
        # The token may have gone to the one who left; what waits now must not read his answer.
        assert (await store.changes(f"{n}", 5)).entries[0].id == f"{n}"
        client.delete("async-job.sys:wake:default")
    assert client.info("clients")["connected_clients"] < 10


async def test_what_cannot_be_written_fails_only_its_own_caller(store: RedisStore) -> None:
    await run(store, "a")
    half = "\ud800"
    answers = await asyncio.gather(
        store.submit([make_job(store.now(), "b", labels={"x": half})]),
        store.submit([make_job(store.now(), half, type=half, unique_key=half, queue=half)]),
        store.report([Beat("a", "w:1", log=(LogLine(1, half),))]),
        store.report([Beat("a", "w:1", Progress(1))]),
        store.apply([change(make_job(1, half), CancelRequested(), 1)]),
        return_exceptions=True,
    )
    assert isinstance(answers[0], UsageError)
    assert answers[1] == [Submitted(half, created=True)]
    assert isinstance(answers[2], UsageError)
    assert answers[3:] == [[Answer.OK], [Stale(None)]]
    odd = await claim(store, 2, queues=(half,))
    assert [(one.id, one.type, one.unique_key, one.queue) for one in odd] == [(half,) * 4]
    assert {entry.id for entry in await entries(store, "0")} == {"a", half}
    assert await store.check() == []


@pytest.mark.realtime
class TestLater:
    async def test_a_busy_server(self, make_server: MakeServer) -> None:
        server = make_server(config={"busy-reply-threshold": "10"})
        async with opened(server.url) as store:
            busy = threading.Thread(target=_loop_for_ever, args=[server])
            busy.start()
            with redis.Redis.from_url(server.url) as client:
                await until(lambda: _refuses(client, "BUSY"))
                submitting = asyncio.ensure_future(submit(store, "a"))
                await asyncio.sleep(0.2)
                assert not submitting.done()
                client.script_kill()
                await submitting
            busy.join()
            assert (await store.counts()).queued == {"default": 1}

    async def test_a_replica_that_becomes_the_master(self, make_server: MakeServer) -> None:
        server = make_server()
        async with opened(server.url) as store:
            with redis.Redis.from_url(server.url) as client:
                for stale in ("yes", "no"):
                    client.config_set("replica-serve-stale-data", stale)
                    client.execute_command("REPLICAOF", "127.0.0.1", "1")
                    submitting = asyncio.ensure_future(submit(store, stale))
                    await asyncio.sleep(0.2)
                    assert not submitting.done()
                    client.execute_command("REPLICAOF", "NO", "ONE")
                    await submitting
            assert (await store.counts()).queued == {"default": 2}

    async def test_a_server_that_has_lost_its_replicas(self, make_server: MakeServer) -> None:
        server = make_server()
        async with opened(server.url, patience=0.3) as store:
            with redis.Redis.from_url(server.url) as client:
                client.config_set("min-replicas-to-write", 1)
                with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
                    await store.submit([make_job(store.now(), "a")])
                submitting = asyncio.ensure_future(submit(store, "a"))
                await asyncio.sleep(0.1)
                client.config_set("min-replicas-to-write", 0)
                await submitting
            assert (await store.counts()).queued == {"default": 1}

    async def test_a_replica_that_stays_one(self, make_server: MakeServer) -> None:
        server = make_server()
        async with opened(server.url, patience=0.3) as store:
            with redis.Redis.from_url(server.url) as client:
                client.execute_command("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(StoreUnavailable, match="does not do it now"):
                await store.submit([make_job(store.now(), "a")])

    async def test_a_server_that_loads(self, make_server: MakeServer) -> None:
        server = make_server(
            save="3600 1", config={"key-load-delay": "0", "loading-process-events-interval-bytes": "1024"}
        )
        async with opened(server.url) as store:
            await store.submit([make_job(store.now(), f"{n}") for n in range(200)])
            with redis.Redis.from_url(server.url) as client:
                client.config_set("key-load-delay", "2000")
                loading = threading.Thread(target=client.execute_command, args=["DEBUG", "RELOAD"])
                loading.start()
                with redis.Redis.from_url(server.url) as other:
                    await until(lambda: _refuses(other, "loading"))
                await submit(store, "a")
                loading.join()
            assert (await store.counts()).queued == {"default": 201}

    async def test_a_server_that_cannot_save(self, make_server: MakeServer) -> None:
        server = make_server(save="3600 1")
        async with opened(server.url, patience=0.3) as store:
            (server.folder / "dump.rdb").mkdir()
            with redis.Redis.from_url(server.url) as client:
                client.set("x", "1")
                client.bgsave()
                await until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
            with pytest.raises(StoreUnavailable, match="cannot save to disk"):
                await store.submit([make_job(store.now(), "a")])

    async def test_a_frozen_server(self, make_server: MakeServer) -> None:
        server = make_server()
        async with opened(server.url, patience=0.4) as store:
            await store.enroll(make_worker(), LEASE)
            server.pause()
            calls = [store.submit([make_job(store.now(), "a")]), store.extend(["w"], LEASE), store.get(["a"])]
            for answer in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(answer, StoreUnavailable)
            server.resume()
            await submit(store, "a")
            assert await store.extend(["w"], LEASE) == [True]

    async def test_a_restart(self, make_server: MakeServer) -> None:
        server = make_server(appendonly=True, appendfsync="always")
        async with opened(server.url, patience=10) as store:
            await submit(store, "a")
            server.kill()
            submitting = asyncio.ensure_future(submit(store, "b"))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.restart)
            await submitting
            assert (await store.counts()).queued == {"default": 2}
            assert await store.check() == []


def _loop_for_ever(server: Server) -> None:
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def _refuses(client: redis.Redis, word: str) -> bool:
    try:
        client.get("x")
    except redis.RedisError as error:
        return word.lower() in f"{type(error).__name__} {error}".lower()
    return False
