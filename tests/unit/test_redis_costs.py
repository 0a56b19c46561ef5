"""What a job costs, counted: bytes in memory, commands inside the scripts, and trips. No clock is read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from async_job.core.job import Job
from async_job.core.lifecycle import Succeeded
from async_job.settings import Settings
from async_job.store.protocol import ClaimId, IdempotencyKey
from async_job.store.redis.store import RedisStore
from async_job.worker.contact import Contact
from async_job.worker.deliverer import keep_delivering
from async_job.worker.expirer import keep_expiring
from async_job.worker.lookout import Lookout
from async_job.worker.renewer import Renewer
from async_job.worker.rescuer import keep_rescuing
from support.jobs import LEASE, change, make_job, make_worker
from support.servers import Server

pytestmark = pytest.mark.store("redis")

JOBS = 20_000
LONG_LEASE = 100 * LEASE


@pytest.fixture(scope="module")
def server(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Debian's Redis, for its allocator."""
    with Server(redis_binary, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Any:
    server.flush()
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def store(server: Server, client: redis.Redis) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url)
    await store.open()
    await store.enroll(make_worker("0123456789abcdef"), LONG_LEASE)
    yield store
    await store.close()


def plain_jobs(store: RedisStore, count: int, **fields: Any) -> list[Job]:
    now = store.now()
    fields = {"input": b"{}", **fields}
    return [make_job(now, f"018bcfe5-6800-7000-8000-{n:012x}", **fields) for n in range(count)]


def claim_id(n: int) -> ClaimId:
    return ClaimId("0123456789abcdef", n)


async def finish(store: RedisStore, n: int, jobs: list[Job]) -> None:
    token = claim_id(n).token
    await store.apply([change(job, Succeeded(token, b"null"), store.now()) for job in jobs])


async def test_memory(store: RedisStore, client: redis.Redis) -> None:
    def used() -> int:
        return int(client.info("memory")["used_memory"])

    jobs = plain_jobs(store, JOBS)
    empty = used()
    for at in range(0, JOBS, 250):
        await store.submit(jobs[at : at + 250])
    assert client.object("ENCODING", f"async-job:{jobs[0].id}") == "listpack"
    # Seen: 370 with 100,000 jobs; the change log and the tables that grow by doubling weigh more with fewer.
    assert (used() - empty) / JOBS <= 500
    for n in range(1, JOBS // 250 + 1):
        await finish(store, n, (await store.claim(claim_id(n), ["default"], 250)).jobs)
    assert (await store.counts()).states["succeeded"] == JOBS
    assert client.object("ENCODING", f"async-job:{jobs[0].id}") == "listpack"
    # Seen: 575 with 100,000 jobs.
    assert (used() - empty) / JOBS <= 650


EXTRAS: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    "unique key": (lambda n: {"unique_key": f"order-{n:012}"}, 200),
    "labels": (lambda n: {"labels": {"tenant": f"{n:08}", "kind": "letter"}}, 200),
    # More than was aimed at; docs/decisions/0006 says why. Seen: 259.
    "idempotency key": (lambda n: {}, 270),
}


@pytest.mark.parametrize("extra", EXTRAS)
async def test_memory_of_extras(store: RedisStore, client: redis.Redis, extra: str) -> None:
    async def bytes_a_job(fields: Callable[[int], dict[str, Any]], keys: Sequence[IdempotencyKey] = ()) -> float:
        client.flushall()
        empty = int(client.info("memory")["used_memory"])
        jobs = [replace(job, **fields(n)) for n, job in enumerate(plain_jobs(store, JOBS))]
        for at in range(0, JOBS, 250):
            await store.submit(jobs[at : at + 250], keys[at : at + 250])
        return (int(client.info("memory")["used_memory"]) - empty) / JOBS

    fields, most = EXTRAS[extra]
    keys: list[IdempotencyKey] = []
    if extra == "idempotency key":
        # The fingerprint is 128 bits in base 64.
        keys = [IdempotencyKey(f"order-{n:012}", f"{n:022}", store.now() + 86_400_000) for n in range(JOBS)]
    assert await bytes_a_job(fields, keys) - await bytes_a_job(lambda n: {}) <= most


async def test_commands_and_trips(store: RedisStore, client: redis.Redis) -> None:
    """A group of ten is one trip each way: jobs in, then outcomes together with the next claim."""
    groups, size = 20, 10
    jobs = plain_jobs(store, groups * size)
    client.config_resetstat()
    for at in range(0, len(jobs), size):
        await store.submit(jobs[at : at + size])
    counted = calls(client)
    assert counted["evalsha"] == groups
    assert sum(counted.values()) - groups <= len(jobs) * 2.8
    sent, answered = carried(client, len(jobs))
    # Seen: 246 and 11; the answer to the reset of the counts and to the questions is among them.
    assert sent <= 260
    assert answered <= 12

    client.config_resetstat()
    held = (await store.claim(claim_id(1), ["default"], size)).jobs
    for n in range(2, groups + 2):
        _, claimed = await asyncio.gather(finish(store, n - 1, held), store.claim(claim_id(n), ["default"], size))
        held = claimed.jobs
    counted = calls(client)
    assert counted["evalsha"] == 2 * groups + 1
    assert sum(counted.values()) - 2 * groups <= len(jobs) * 7.2
    assert client.info("stats")["total_reads_processed"] <= groups + 1 + 3
    sent, answered = carried(client, len(jobs))
    # Seen: 437 and 241.
    assert sent <= 460
    assert answered <= 255


async def test_one_command_a_look_while_there_is_nothing_to_do(store: RedisStore, client: redis.Redis) -> None:
    settings, looks = Settings(), 10
    contact = Contact(0.01, store.now)
    lookout = Lookout(store, contact, every=0.001)
    renewer = Renewer(store, LONG_LEASE / 1000, 5.0, contact, lambda worker: None)
    retention = settings.retention
    await asyncio.sleep(0.01)
    assert contact.steady()
    client.config_resetstat()
    loops = [
        asyncio.create_task(loop)
        for loop in (
            lookout.run(),
            keep_rescuing(store, retention, contact, renewer, lookout),
            keep_expiring(store, retention, contact, lookout),
            keep_delivering(store, settings, contact, lookout),
        )
    ]
    for _ in range(looks):
        await lookout.next()
    for loop in loops:
        loop.cancel()
    await asyncio.wait(loops)
    counted = calls(client)
    assert counted["evalsha"] <= looks + 1
    assert sum(counted.values()) <= (looks + 1) * 5


async def test_callers_share_a_trip(store: RedisStore, client: redis.Redis) -> None:
    jobs = plain_jobs(store, 100)
    await store.get(["x"])
    client.config_resetstat()
    await asyncio.gather(*(store.submit([job]) for job in jobs))
    # One of the two is on the server while the other is made.
    assert calls(client)["evalsha"] == 2
    client.config_resetstat()
    found = await asyncio.gather(*(store.get([job.id]) for job in jobs))
    assert [job for (job,) in found] == jobs
    # One more is the question itself.
    assert client.info("stats")["total_reads_processed"] <= 3


async def test_what_is_large_shares_less_of_a_trip(store: RedisStore, client: redis.Redis) -> None:
    """Of a quarter of a MiB, four go together."""
    large = b'"%s"' % (b"x" * 250_000)
    client.config_resetstat()
    await asyncio.gather(*(store.submit([job]) for job in plain_jobs(store, 5, input=large)))
    assert calls(client)["evalsha"] == 2
    jobs = (await store.claim(claim_id(1), ["default"], 5)).jobs
    client.config_resetstat()
    ends = [change(job, Succeeded(claim_id(1).token, large), store.now()) for job in jobs]
    await asyncio.gather(*(store.apply([end]) for end in ends))
    assert calls(client)["evalsha"] == 2


async def test_a_check_looks_for_no_job_in_the_queues_of_others(store: RedisStore, client: redis.Redis) -> None:
    jobs = [replace(job, queue=f"queue-{n % 64}") for n, job in enumerate(plain_jobs(store, 256))]
    await store.submit(jobs)
    client.config_resetstat()
    assert await store.check() == []
    # Once by its record and once by its queue; with 64 queues, it was 142 times.
    assert calls(client)["zscore"] == 2 * len(jobs)


def carried(client: redis.Redis, jobs: int) -> tuple[float, float]:
    """Bytes a job that the server was sent and that it answered, since its counts were reset."""
    stats = client.info("stats")
    return stats["total_net_input_bytes"] / jobs, stats["total_net_output_bytes"] / jobs


def calls(client: redis.Redis) -> dict[str, int]:
    stats = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): of["calls"]
        for name, of in stats.items()
        if not name.startswith("cmdstat_config")
    }
