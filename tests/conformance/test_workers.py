"""`administration.workers`: who is enrolled, and how many jobs each holds."""

from async_job.clock import ManualClock
from async_job.core.lifecycle import LeaseLapsed, Released, Succeeded
from async_job.store.administration import WorkerInfo
from async_job.store.protocol import Store, Worker
from support.jobs import HOUR, LEASE, claim, make_worker, run, submit, tell

ODD = Worker(
    id="w:ä\x00",
    host="ä\n{x}",
    pid=2**31,
    started_at=253_402_300_799_999,
    queues=("a:b", "ä", "", "a"),
    concurrency=0,
    version="1.2 β",
)


async def test_none(store: Store) -> None:
    assert await store.administration.workers() == []


async def test_all_that_they_said_of_themselves(store: Store) -> None:
    await store.enroll(ODD, LEASE)
    await store.enroll(make_worker("a", queues=()), HOUR)
    assert await store.administration.workers() == [
        WorkerInfo(worker=make_worker("a", queues=()), lease_end=store.now() + HOUR, running=0),
        WorkerInfo(worker=ODD, lease_end=store.now() + LEASE, running=0),
    ]


async def test_by_id(store: Store) -> None:
    ids = ["b", "a10", "a", "B", "ä", "☃", "a9"]
    for id in ids:
        await store.enroll(make_worker(id), LEASE)
    assert [info.worker.id for info in await store.administration.workers()] == sorted(ids)


async def test_how_many_jobs_each_holds(store: Store) -> None:
    a, b, _ = await run(store, "a", "b", "c", worker="v")
    await store.enroll(make_worker("w"), LEASE)
    await submit(store, "d", queue="other")
    await claim(store, 1, "w", ("other",))
    await tell(store, a, Succeeded("v:1", b"1"))
    await tell(store, b, Released("v:1"))
    await store.enroll(make_worker("x"), LEASE)
    assert [(info.worker.id, info.running) for info in await store.administration.workers()] == [
        ("v", 1),
        ("w", 1),
        ("x", 0),
    ]


async def test_the_leases_end(store: Store, clock: ManualClock) -> None:
    await run(store, "a", worker="lapsed")
    await run(store, "b", worker="retired")
    await run(store, "c", worker="renewed")
    start = clock.now()
    clock.advance(2 * LEASE / 1000)
    await store.extend(["renewed"], LEASE)
    await store.retire("retired")
    found = {info.worker.id: (info.lease_end, info.running) for info in await store.administration.workers()}
    assert found == {"lapsed": (start + LEASE, 1), "renewed": (start + 3 * LEASE, 1), "retired": (0, 1)}


async def test_who_is_forgotten_is_not_listed(store: Store, clock: ManualClock) -> None:
    (job,) = await run(store, "a", worker="retired")
    await store.enroll(make_worker("live"), 3 * HOUR)
    await store.enroll(make_worker("lapsed"), LEASE)
    await store.retire("retired")
    await tell(store, job, LeaseLapsed("retired:1"))
    clock.advance((HOUR + LEASE) / 1000)
    assert await store.rescuable(10) == []
    assert [info.worker.id for info in await store.administration.workers()] == ["live"]
