"""`due`: whether there is anything to do for whoever keeps house."""

from msgspec.structs import replace

from async_job.clock import ManualClock
from async_job.core.delivery import Delivery
from async_job.core.lifecycle import Overdue, Succeeded
from async_job.store.protocol import Due, Store
from support.jobs import HOUR, LEASE, change, make_worker, run, submit, tell


async def test_nothing_in_an_idle_store(store: Store) -> None:
    assert await store.due() == Due()
    await submit(store, "a")
    await submit(store, "b", delay=HOUR)
    await store.enroll(make_worker("other"), LEASE)
    assert await store.due() == Due()


async def test_jobs_whose_lease_is_over(store: Store, clock: ManualClock) -> None:
    await run(store, "a")
    clock.advance((LEASE - 1) / 1000)
    assert await store.due() == Due()
    clock.advance(0.001)
    assert await store.due() == Due(rescuable=True)
    assert await store.due() == Due(rescuable=True)


async def test_jobs_of_a_retired_worker_and_then_its_id(store: Store) -> None:
    [job] = await run(store, "a")
    assert job.worker is not None
    await store.retire(job.worker)
    assert await store.due() == Due(rescuable=True)
    await tell(store, job, Succeeded(job.token or "", b"1"))
    assert await store.due() == Due(rescuable=True)
    await store.rescuable(10)
    assert await store.due() == Due()


async def test_a_deadline(store: Store, clock: ManualClock) -> None:
    [job] = await submit(store, "a", start_by=clock.now() + 1_000)
    clock.advance(0.999)
    assert await store.due() == Due()
    clock.advance(0.001)
    assert await store.due() == Due(overdue=True)
    await tell(store, job, Overdue())
    assert await store.due() == Due()


async def test_a_delivery(store: Store, clock: ManualClock) -> None:
    [job] = await run(store, "a")
    now = clock.now()
    delivery = Delivery(id="d", job_id="a", event="job.succeeded", target="hook", created_at=now, due_at=now + 1_000)
    await store.apply([replace(change(job, Succeeded(job.token or "", b"1"), now), deliveries=(delivery,))])
    clock.advance(0.999)
    assert await store.due() == Due()
    clock.advance(0.001)
    assert await store.due() == Due(deliveries=True)
    await store.outbox.take(1, HOUR)
    assert await store.due() == Due()
