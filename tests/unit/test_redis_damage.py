"""A record in Redis that cannot be read, as one of a newer version may be, holds up no other job and no delivery."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from async_job.core.job import LogLine, Progress, State
from async_job.core.lifecycle import DEFAULT_RETENTION, CancelRequested, NotStarted, Released, Succeeded
from async_job.core.query import Query
from async_job.errors import StoreBroken
from async_job.finding import find
from async_job.store.protocol import Answer, Beat, Due, Index
from async_job.store.redis.store import RedisStore
from async_job.watch import Watcher
from async_job.worker.active import ActiveRun
from async_job.worker.settle import settle
from support.claiming import end_together
from support.jobs import HOUR, LEASE, change, claim, end, make_job, make_worker, read, run, submit, tell
from support.servers import Server

pytestmark = pytest.mark.store("redis")

NO_DELIVERY = "is a delivery that cannot be read"
NO_JOB = "is no job: state, type or time of creation is missing"


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
    assert [isinstance(answer, StoreBroken) for answer in answers] == [True, False, False, False, True, False]
    (cancelled,), ((_, newest),), (read,) = answers[1::2]
    assert answers[2][0][1] is None
    assert (cancelled.state, newest.id, read) == (State.CANCELLED, "c", cancelled)


async def test_only_who_waits_for_it_is_told(store: RedisStore, client: redis.Redis) -> None:
    await submit(store, "a", "b")
    client.hset("async-job:b", "attempt", "many")
    client.set("async-job:c", "text")
    watcher = Watcher(store)
    good, bad, none = (asyncio.create_task(watcher.wait(id, None, 60.0)) for id in "abc")
    with pytest.raises(StoreBroken, match="job b cannot be read"):
        await bad
    assert await none is None
    await tell(store, await read(store, "a"), CancelRequested())
    ended = await good
    assert ended is not None
    assert ended.state is State.CANCELLED
    await watcher.close()


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
        assert [job.id for job in await store.overdue(9)] == ["e"]
    assert caplog.text.count("left out: job b cannot be read") == 1
    assert caplog.text.count("left out: job d cannot be read") == 1
    assert [job.id for job in await store.retire("w")] == ["a", "c"]
    assert [job.id for job in await store.rescuable(9)] == ["a", "c"]
    assert await store.due() == Due(rescuable=True, overdue=True, deliveries=False)


async def test_many_damaged_records_hide_no_other_job(store: RedisStore, client: redis.Redis) -> None:
    """Though all of them come first, and are more than what is asked for."""
    for n, worker in enumerate("vw"):
        ids = "abcdef"[3 * n : 3 * n + 3]
        await run(store, *ids, worker=worker, queue=worker)
    await submit(store, *"klmnop", queue="late", start_by=1)
    for id in "abdeklmn":
        client.hset(f"async-job:{id}", "labels", "?")
    client.delete("async-job:l")
    client.set("async-job:l", "?")
    # What is no hash at all is no job.
    assert [place.id for place, _ in await store.scan(Index(State.QUEUED, "late"), None, 9)] == [*"kmnop"]
    assert await store.rescuable(2) == []
    for worker in "vw":
        await store.retire(worker)
    assert [[job.id for job in await store.rescuable(limit)] for limit in (1, 2, 3)] == [["c"], ["c", "f"], ["c", "f"]]
    assert [[job.id for job in await store.overdue(limit)] for limit in (1, 2, 3)] == [["o"], ["o", "p"], ["o", "p"]]


async def test_a_list_shows_the_others(store: RedisStore, client: redis.Redis) -> None:
    """Also where what cannot be read is all of a page, or the end of one."""
    await submit(store, "a", "b", "c")
    await submit(store, "d", "e", queue="late")
    for id in "bd":
        client.hset(f"async-job:{id}", "labels", "?")
    index = Index(State.QUEUED, "default")
    page = await store.scan(index, None, 2)
    assert [(place.id, job and job.id) for place, job in page] == [("a", "a"), ("b", None)]
    page = await store.scan(index, page[-1][0], 9)
    assert [(place.id, job and job.id) for place, job in page] == [("c", "c")]
    for newest in (False, True):
        first = await find(store, Query(newest=newest), None, 2)
        rest = await find(store, Query(newest=newest), first.next_cursor, 9)
        assert [job.id for job in first.jobs + rest.jobs] == sorted("ace", reverse=newest)
        assert rest.complete


async def test_a_damaged_delivery_holds_up_no_other(
    store: RedisStore, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await end(store, "a", "b", "c", "d", webhook="hook")
    [one, other, third, _] = sorted(client.hgetall("async-job.sys:deliveries").items())
    damage = {one[0]: "?", other[0]: other[1].replace("pending", "odd"), third[0]: '{"tries":1e999}'}
    client.hset("async-job.sys:deliveries", mapping=damage)
    assert [delivery.job_id for delivery in await store.outbox.take(9, HOUR)] == ["d"]
    assert await store.outbox.take(9, HOUR) == []
    assert [delivery.job_id for delivery in await store.outbox.recent(9)] == ["d"]
    assert caplog.text.count("left out: a delivery cannot be read") == 3


async def test_a_number_that_is_none_holds_up_no_other_claim(
    store: RedisStore, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in its queue nor on its way there. Once it is mended, it comes back."""
    await submit(store, "a", "b", "c", "d", "e")
    await store.submit([make_job(store.now() - HOUR, id, delay=n) for n, id in enumerate("klmno", 1)])
    wrong = {"a": "attempt", "c": "version", "k": "priority", "m": "created_at", "n": "version"}
    for id, field in wrong.items():
        client.hset(f"async-job:{id}", field, "nan" if id in "akn" else "?")
    for id in "do":
        client.delete(f"async-job:{id}")
        client.set(f"async-job:{id}", "?")
    await store.enroll(make_worker(), LEASE)
    assert [job.id for job in await claim(store)] == ["l", "b", "e"]
    assert {id for id in "abcdeklmno" if f"left out: job {id} cannot be read" in caplog.text} == {*wrong}
    # The second time it is asked again.
    client.hset("async-job:b", "attempt", "?")
    client.delete("async-job:l")
    client.set("async-job:l", "?")
    assert [job.id for job in await claim(store)] == ["e"]
    assert [job.id for job in await store.retire("w")] == ["e"]
    assert [job.id for job in await store.rescuable(9)] == ["e"]
    await store.repair()
    assert {finding.id for finding in await store.check()} == {*"abcdklmno"}
    for id, field in wrong.items():
        client.hset(f"async-job:{id}", field, client.hget("async-job:e", field) or "0")
    await store.repair()
    await store.enroll(make_worker("v"), LEASE)
    assert {job.id for job in await claim(store, worker="v")} == {*"ackn"}


@pytest.mark.parametrize("is_hash", [True, False])
async def test_a_left_out_job_passes_on_the_hint(store: RedisStore, client: redis.Redis, is_hash: bool) -> None:
    """So that another worker comes for what stands behind it."""
    await submit(store, "a", "b")
    if is_hash:
        client.hset("async-job:a", "attempt", "?")
    else:
        client.delete("async-job:a")
        client.set("async-job:a", "?")
    await store.enroll(make_worker(), LEASE)
    await store.wait(["default"], 1)
    assert await claim(store, limit=1) == []
    assert client.llen("async-job.sys:wake:default") == 1


async def test_a_number_that_is_none_holds_up_no_other_change(store: RedisStore, client: redis.Redis) -> None:
    """Nothing of its own is written, whichever number it is."""
    wrong = {"b": "version", "c": "scheduled_for", "d": "priority", "e": "created_at"}
    jobs = await run(store, "a", *wrong, "f", max_attempts=5)
    for id, field in wrong.items():
        client.hset(f"async-job:{id}", field, "?")
    before = [client.hgetall(f"async-job:{id}") for id in wrong]
    back = [change(job, NotStarted(job.token or ""), store.now()) for job in jobs]
    with pytest.raises(StoreBroken, match="job b cannot be read"):
        await store.apply(back)
    assert [client.hgetall(f"async-job:{id}") for id in wrong] == before
    assert [job.state for job in await store.get(["a", "f"]) if job] == [State.QUEUED] * 2


async def test_a_unique_key_stays_with_a_job_that_cannot_be_read(store: RedisStore, client: redis.Redis) -> None:
    [job] = await run(store, "a", unique_key="k")
    client.hset("async-job:a", "version", "?")
    with pytest.raises(StoreBroken, match="job a cannot be read"):
        await tell(store, job, Succeeded(job.token or "", b"1"))
    [other] = await store.submit([make_job(store.now(), "b", unique_key="k")])
    assert (other.created, other.id) == (False, "a")


async def test_a_number_that_is_none_holds_up_no_other_report(store: RedisStore, client: redis.Redis) -> None:
    jobs = await run(store, "a", "b", "c", "d")
    for id, field in {"a": "version", "b": "logged", "c": "log_bytes"}.items():
        client.hset(f"async-job:{id}", field, "?")
    line = LogLine(at=1, message="hello")
    beats = [Beat(job.id, job.token or "", Progress(1.0), (line,)) for job in jobs]
    assert await store.report(beats) == [Answer.OK] * 4
    assert await store.log("d") == [line]
    assert (await read(store, "d")).progress == Progress(1.0)


async def test_check_names_what_cannot_be_read(store: RedisStore, client: redis.Redis) -> None:
    """And goes on, with and without repair."""
    wrong = dict(zip("abcde", ("created_at", "scheduled_for", "priority", "finished_at", "start_by"), strict=True))
    await submit(store, *wrong, "f", start_by=store.now() + HOUR)
    await end(store, "g", "h", "i", webhook="hook")
    for id, field in wrong.items():
        client.hset(f"async-job:{id}", field, "?")
    client.zrem("async-job.sys:queue:default", "f")
    await submit(store, "u", unique_key="k")
    client.delete("async-job:u")
    client.set("async-job:u", "?")
    client.hset("async-job:f", "unique_key", "k")
    ids = sorted(client.hkeys("async-job.sys:deliveries"))[:2]
    client.hset("async-job.sys:deliveries", mapping=dict(zip(ids, ("?", "{}"), strict=True)))
    damaged = {(id, f"cannot be read: {field} is no number") for id, field in wrong.items()}
    damaged |= {(id, NO_DELIVERY) for id in ids} | {("u", NO_JOB)}
    mended = {
        ("f", "is missing in queue:default"),
        ("f", "live, but its unique key is not its own"),
        ("u", "holds the unique key demo/k and is not live"),
    }
    found = [(one.id, one.problem) for one in await store.check()]
    assert set(found) == damaged | mended
    await store.repair()
    found = [(one.id, one.problem) for one in await store.check()]
    assert set(found) == damaged


async def test_an_outcome_that_cannot_be_told_holds_up_no_other(store: RedisStore, client: redis.Redis) -> None:
    """The claimer drops it, and says so."""
    await submit(store, "a", "b", "c", type="work")
    await store.enroll(make_worker(), LEASE)

    async def damage(active: ActiveRun) -> None:
        if active.job.id == "b":
            client.hset("async-job:b", "version", "?")

    with capture_logs() as lines:
        await end_together(store, 1, "a", "b", "c", before=damage)
    assert [job.state for job in await store.get(["a", "c"]) if job] == [State.SUCCEEDED] * 2
    assert [(line["event"], line["job"]) for line in lines] == [
        ("an outcome may not be stored, its job cannot be read", "b")
    ]
    assert client.hget("async-job:b", "state") == "running"


async def test_what_is_handed_back_without_it(store: RedisStore, client: redis.Redis) -> None:
    """A record that was damaged after it was read, and before what became of it is written."""
    await submit(store, "a", "b", "c")
    await store.enroll(make_worker(), LEASE)
    await claim(store)
    held = await store.retire("w")
    client.hset("async-job:b", "version", "?")
    with capture_logs() as lines:
        settled = await settle(store, held, lambda job: Released(job.token or "", "drained"), DEFAULT_RETENTION)
    assert [(job.id, job.state) for job in settled] == [("a", State.QUEUED), ("c", State.QUEUED)]
    assert [(line["event"], line["job"]) for line in lines] == [("left as it is", "b")]
