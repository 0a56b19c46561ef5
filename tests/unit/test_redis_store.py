"""The Redis store beside what all stores do: what it asks of a server, what it keeps there, and what it costs."""

import logging
import multiprocessing
import os
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import Any

import pytest
import redis

from async_job.clock import ManualClock
from async_job.core.job import LogLine, State
from async_job.core.lifecycle import CancelRequested, Retention, RetryRequested, Succeeded, decide
from async_job.errors import ForkError, SettingsError, StoreRefused, StoreUnavailable
from async_job.store.codec import LogLimits
from async_job.store.protocol import Beat, Finding
from async_job.store.redis.server import ServerFacts, demand
from async_job.store.redis.store import RedisStore
from support.jobs import HOUR, LEASE, change, claim, full_job, make_job, make_worker, run, submit, tell
from support.servers import Server, free_port

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


class TestOpening:
    async def test_eviction_is_refused_with_the_command_to_run(self, make_server: Callable[..., Server]) -> None:
        server = make_server(config={"maxmemory-policy": "allkeys-lru"})
        store = RedisStore(server.url)
        with pytest.raises(StoreRefused, match=r"allkeys-lru.*CONFIG SET maxmemory-policy noeviction"):
            await store.open()

    async def test_eviction_may_be_allowed(self, make_server: Callable[..., Server]) -> None:
        store = RedisStore(make_server(config={"maxmemory-policy": "allkeys-lru"}).url, allow_eviction=True)
        await store.open()
        await store.close()

    async def test_a_newer_schema_is_refused(self, redis_server: Server, client: redis.Redis) -> None:
        client.set("async-job.sys:schema", "2")
        store = RedisStore(redis_server.url)
        with pytest.raises(StoreRefused, match=r"schema.*2.*install the newer"):
            await store.open()
        assert client.keys("*") == ["async-job.sys:schema"]

    @pytest.mark.parametrize(
        ("product", "version", "fits"),
        [
            *(("redis", "6.2.14", False), ("redis", "7.0.0", True), ("redis", "8.2", True)),
            *(("valkey", "7.2.5", False), ("valkey", "8.0.1", True), ("redis", "of unknown version", True)),
        ],
    )
    def test_an_old_server_is_refused(self, product: str, version: str, fits: bool) -> None:
        facts = ServerFacts(product=product, version=version, cluster=False, eviction="noeviction", durability="")
        with nullcontext() if fits else pytest.raises(StoreRefused, match="too old"):
            demand(facts, allow_eviction=False)

    async def test_a_cluster_is_refused(self, make_server: Callable[..., Server]) -> None:
        store = RedisStore(make_server(config={"cluster-enabled": "yes", "cluster-port": str(free_port())}).url)
        with pytest.raises(StoreRefused, match="Cluster"):
            await store.open()

    async def test_a_wrong_password_is_refused_and_not_shown(self, make_server: Callable[..., Server]) -> None:
        server = make_server()
        with redis.Redis.from_url(server.url) as client:
            client.config_set("requirepass", "right")
        for address in (f"redis://:hunter2@127.0.0.1:{server.port}", f"127.0.0.1:{server.port}"):
            store = RedisStore(address)
            with pytest.raises(StoreRefused, match="refuses this user or password") as raised:
                await store.open()
            assert "hunter2" not in str(raised.value)
        store = RedisStore(f"127.0.0.1:{server.port},password=right,user=default,name=here")
        await store.open()
        assert await store.check() == []
        await store.close()

    async def test_without_a_server(self) -> None:
        store = RedisStore("redis://127.0.0.1:1", patience=0.1)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await store.open()

    async def test_of_several_hosts_the_one_that_answers(self, redis_server: Server, client: redis.Redis) -> None:
        store = RedisStore(f"127.0.0.1:1,127.0.0.1:{redis_server.port}")
        await store.open()
        await store.close()

    async def test_of_several_hosts_the_one_that_writes(self, make_server: Callable[..., Server]) -> None:
        first, second = make_server(), make_server()
        with redis.Redis.from_url(first.url) as one, redis.Redis.from_url(second.url) as other:
            one.execute_command("REPLICAOF", "127.0.0.1", str(second.port))
            store = RedisStore(f"127.0.0.1:{first.port},127.0.0.1:{second.port}")
            await store.open()
            await submit(store, "a")
            one.execute_command("REPLICAOF", "NO", "ONE")
            other.execute_command("REPLICAOF", "127.0.0.1", str(first.port))
            await submit(store, "b")
            await store.close()
            assert one.hget("async-job:b", "state") == b"queued"

    async def test_another_database_is_another_store(self, redis_server: Server, store: RedisStore) -> None:
        await submit(store, "a")
        other = RedisStore(f"127.0.0.1:{redis_server.port},defaultDatabase=5")
        await other.open()
        assert await other.get(["a"]) == [None]
        await other.close()

    async def test_namespaces_are_apart(self, redis_server: Server, store: RedisStore) -> None:
        other = RedisStore(redis_server.url, namespace="other")
        await other.open()
        await run(other, "a", unique_key="k")
        assert (await store.get(["a"]), (await store.counts()).queued) == ([None], {})
        assert await store.check() == await other.check() == []
        await other.close()

    @pytest.mark.parametrize("namespace", ["", "a:b", "a*", "async-job.sys", "x" * 65, "ä"])
    def test_a_namespace_that_cannot_be(self, namespace: str) -> None:
        with pytest.raises(SettingsError, match="namespace"):
            RedisStore("redis://127.0.0.1", namespace=namespace)

    async def test_what_has_no_effect_is_logged(
        self, redis_server: Server, client: redis.Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        store = RedisStore(f"127.0.0.1:{redis_server.port},colour=blue,password=")
        await store.open()
        await store.close()
        assert "'colour'" in caplog.text
        assert "a crash of the server loses everything" in caplog.text


class TestHealth:
    @pytest.mark.parametrize(
        ("settings", "durable", "words"),
        [
            ({"appendonly": "yes", "appendfsync": "always"}, True, "loses nothing"),
            ({"appendonly": "yes", "appendfsync": "everysec"}, False, "up to 2 s"),
            ({"appendonly": "yes", "appendfsync": "no"}, False, "30 s"),
            ({"appendonly": "no", "save": "60 1"}, False, "last snapshot"),
            ({"appendonly": "no", "save": ""}, False, "everything"),
        ],
    )
    async def test_what_the_server_promises_now(
        self, redis_server: Server, store: RedisStore, client: redis.Redis, settings: Any, durable: bool, words: str
    ) -> None:
        for name, value in settings.items():
            client.config_set(name, value)
        health = await store.health()
        client.config_set("appendonly", "no")
        client.config_set("save", "")
        assert (health.durable, words in health.durability) == (durable, True), health
        assert health.backend.startswith("valkey 9.")

    async def test_settings_that_are_hidden_are_unknown(self, redis_server: Server, client: redis.Redis) -> None:
        client.acl_setuser("app", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-config"])
        store = RedisStore(f"redis://app:pw@127.0.0.1:{redis_server.port}")
        await store.open()
        health = await store.health()
        await store.close()
        client.acl_deluser("app")
        assert (health.durable, "not known" in health.durability) == (False, True)


class TestKeys:
    async def test_a_finished_job_goes_by_itself_an_hour_late(self, store: RedisStore, client: redis.Redis) -> None:
        (job,) = await submit(store, "a")
        assert client.pttl("async-job:a") == -1
        cancelled = await tell(store, job, CancelRequested())
        assert 24.9 * HOUR < client.pttl("async-job:a") <= 25 * HOUR
        await tell(store, cancelled, RetryRequested())
        assert client.pttl("async-job:a") == -1

    async def test_what_is_kept_for_ever_does_not_go(self, store: RedisStore, client: redis.Redis) -> None:
        (job,) = await submit(store, "a")
        forever = decide(job, CancelRequested(), store.now(), Retention(cancelled=0))
        assert forever is not None
        await store.apply([forever])
        assert client.pttl("async-job:a") == -1
        assert (await store.purge(10), await store.check()) == (0, [])

    async def test_a_record_that_went_by_itself_leaves_with_the_purge(
        self, redis_server: Server, client: redis.Redis
    ) -> None:
        clock = ManualClock()
        store = RedisStore(redis_server.url, clock=clock)
        await store.open()
        (job,) = await submit(store, "a")
        await tell(store, job, CancelRequested())
        client.delete("async-job:a")
        assert await store.check() == [Finding("a", "is in finished:cancelled and should not be")]
        clock.advance(26 * 3600)
        assert await store.check() == []
        assert (await store.purge(10), (await store.counts()).states[State.CANCELLED]) == (1, 0)
        await store.close()

    @pytest.mark.parametrize("known", [True, False])
    async def test_a_log_whose_bytes_were_not_counted_yet_is_kept_within_its_limits(
        self, redis_server: Server, client: redis.Redis, known: bool
    ) -> None:
        store = RedisStore(redis_server.url, log_limits=LogLimits(bytes=10))
        await store.open()
        await run(store, "a")
        lines = [LogLine(n, text) for n, text in enumerate(["1234", "56", "789", "0abc"])]
        await store.report([Beat("a", "w:1", log=tuple(lines[:3]))])
        if not known:
            client.hdel("async-job:a", "log_bytes")
        await store.report([Beat("a", "w:1", log=(lines[3],))])
        assert (await store.log("a"), client.hget("async-job:a", "log_bytes")) == (lines[1:], "9")
        await store.close()

    async def test_internal_keys_are_no_jobs(self, store: RedisStore, client: redis.Redis) -> None:
        await run(store, "a", unique_key="k")
        ids = [key.removeprefix("async-job") for key in client.keys("*")]
        assert await store.get([*ids, *(id.removeprefix(".") for id in ids), ":a"]) == [None] * (2 * len(ids) + 1)

    async def test_keys_of_others_are_no_jobs(self, store: RedisStore, client: redis.Redis) -> None:
        client.set("async-job:text", "1")
        client.hset("async-job:cached", mapping={"absexp": "-1", "sldexp": "-1", "data": "COMPLETE"})
        await submit(store, "a")
        found = await store.get(["text", "a", "cached", "\udc80"])
        assert [job and job.id for job in found] == [None, "a", None, None]
        assert {finding.id for finding in await store.check()} == {"text", "cached"}

    async def test_an_id_without_a_record_leaves_the_queue(self, store: RedisStore, client: redis.Redis) -> None:
        await submit(store, "a", "b")
        await submit(store, "c", delay=1)
        client.delete("async-job:a", "async-job:c")
        await store.enroll(make_worker(), LEASE)
        client.zadd("async-job.sys:scheduled", {"c": 1})
        assert [job.id for job in await claim(store)] == ["b"]
        assert await store.check() == []

    async def test_a_key_whose_holder_is_gone_is_free(self, store: RedisStore, client: redis.Redis) -> None:
        await submit(store, "a", unique_key="k")
        client.delete("async-job:a")
        client.delete("async-job.sys:queue:default")
        await submit(store, "b", unique_key="k")
        assert await store.check() == []

    async def test_queues_that_have_emptied_are_forgotten(self, store: RedisStore, client: redis.Redis) -> None:
        for n in range(100):
            (job,) = await submit(store, f"{n}", queue=f"q{n}")
            cancelled = await tell(store, job, CancelRequested())
        await submit(store, "a", queue="stays")
        for _ in range(100):
            await store.purge(1)
        assert client.smembers("async-job.sys:queues") == {"stays"}
        assert client.keys("async-job.sys:wake:*") == ["async-job.sys:wake:stays"]
        await tell(store, cancelled, RetryRequested())
        assert (await store.counts()).queued == {"stays": 1, "q99": 1}
        assert await store.check() == []

    async def test_wake_lists_stay_short(self, store: RedisStore, client: redis.Redis) -> None:
        await store.enroll(make_worker(), LEASE)
        for n in range(1, 20):
            await submit(store, *(f"{n}-{m}" for m in range(20)))
            await claim(store, n, limit=5)
        assert client.llen("async-job.sys:wake:default") == 1

    async def test_the_change_log_stays_short(self, store: RedisStore, client: redis.Redis) -> None:
        start = (await store.changes(None, 0)).cursor
        for _ in range(60):
            await store.submit([make_job(store.now()) for _ in range(256)])
        rows = client.xrange("async-job.sys:changes")
        assert 10_000 <= sum(len(fields) for _, fields in rows) <= 10_000 + 256 * 100
        assert (await store.changes(start, 0)).reset


class TestTime:
    async def test_it_is_the_servers_and_never_ahead(self, store: RedisStore, client: redis.Redis) -> None:
        for _ in range(50):
            await store.extend([], LEASE)
            own = store.now()
            seconds, micros = client.time()
            assert own <= seconds * 1000 + micros // 1000

    async def test_leases_are_counted_by_the_server(self, store: RedisStore, client: redis.Redis) -> None:
        await store.enroll(make_worker(), LEASE)
        seconds, micros = client.time()
        lease_end = client.zscore("async-job.sys:leases", "w")
        assert seconds * 1000 + micros / 1000 - 5_000 < lease_end - LEASE <= seconds * 1000 + micros / 1000


class TestFork:
    async def test_a_child_process_is_told(self, store: RedisStore) -> None:
        def child() -> None:
            async_calls: list[Any] = [store.submit([make_job(1)]), store.extend([], 1), store.wait(["q"], 1)]
            async_calls += [store.get(["a"]), store.changes(None, 0), store.check(), store.enroll(make_worker(), 1)]
            for call in async_calls:
                try:
                    call.send(None)
                except ForkError:
                    continue
                os._exit(1)
            os._exit(0)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(20)
        assert process.exitcode == 0

    async def test_before_opening(self) -> None:
        with pytest.raises(StoreUnavailable, match="call open"):
            await RedisStore("redis://127.0.0.1").get(["a"])


DAMAGES: dict[str, tuple[tuple[Any, ...], set[str]]] = {
    "not in its queue": (("ZREM", "queue:default", "queued"), {"queued"}),
    "in another state's index": (("ZADD", "scheduled", 1, "queued"), {"queued"}),
    "wrong rank": (("ZADD", "queue:default", 1, "queued"), {"queued"}),
    "no record": (("DEL", "job:queued"), {"queued"}),
    "two queues": (("ZADD", "queue:other", 1, "queued"), {"queued"}),
    "not held": (("DEL", "claims:w"), {"held"}),
    "held twice": (("ZADD", "claims:v", 1, "held"), {"held"}),
    "unknown worker": (("ZREM", "leases", "w"), {"held"}),
    "not running": (("ZREM", "running", "held"), {"held"}),
    "no end": (("ZREM", "finished:cancelled", "ended"), {"ended"}),
    "no deadline": (("ZREM", "deadlines", "due"), {"due"}),
    "key lost": (("DEL", "unique:demo:k"), {"due"}),
    "key of another": (("SET", "unique:demo:k", "queued"), {"due", "queued"}),
    "key of an ended job": (("SET", "unique:demo:z", "ended"), {"ended"}),
    "key of nobody": (("SET", "unique:demo:z", "nobody"), {"nobody"}),
    "queue not listed": (("SREM", "queues", "default"), {"queued"}),
    "state unknown": (("HSET", "job:queued", "state", "lost"), {"queued"}),
}


class TestCheck:
    @pytest.mark.parametrize("damage", DAMAGES)
    async def test_it_finds(self, store: RedisStore, client: redis.Redis, damage: str) -> None:
        await run(store, "held")
        (job,) = await submit(store, "ended")
        await tell(store, job, CancelRequested())
        await submit(store, "due", delay=HOUR, start_by=store.now() + 2 * HOUR, unique_key="k")
        await submit(store, "queued")
        assert await store.check() == []
        (name, key, *rest), ids = DAMAGES[damage]
        key = key.replace("job:", "async-job:") if key.startswith("job:") else f"async-job.sys:{key}"
        client.execute_command(name, key, *rest)
        assert {finding.id for finding in await store.check()} == ids
        await store.repair()
        # What state a job is in, nobody knows but its record.
        assert bool(await store.check()) == (damage == "state unknown")

    async def test_a_store_of_many(self, store: RedisStore) -> None:
        await store.enroll(make_worker(), LEASE)
        jobs = [full_job(store.now(), f"{n}", unique_key=f"{n}", queue="default") for n in range(600)]
        await store.submit(jobs)
        held = await claim(store, limit=256)
        await store.apply([change(job, Succeeded("w:1", b"1"), store.now()) for job in held[:100]])
        assert await store.check() == []
