"""The rescuer, the renewer and what they settle, on a manual clock."""

import pytest

from async_job.clock import ManualClock
from async_job.core.job import Job, State
from async_job.core.lifecycle import DEFAULT_RETENTION, CancelRequested, LeaseLapsed, Released
from async_job.store.memory.store import MemoryStore
from async_job.worker.contact import Contact
from async_job.worker.expirer import expire
from async_job.worker.handback import hand_back
from async_job.worker.purger import purge
from async_job.worker.renewer import Renewer
from async_job.worker.rescuer import Run, rescue
from async_job.worker.settle import settle
from async_job.worker.verdict import End
from support.jobs import LEASE, claim, make_worker, read, run, submit, tell

SECONDS = LEASE / 1000


class House:
    """A store with a rescuer whose contact was steady long enough."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.set_by = 0.0
        self.store = MemoryStore(self.clock)
        self.contact = Contact(SECONDS, self.clock.now, self.elapsed)
        self.lost: list[str] = []
        self.renewer = Renewer(self.store, SECONDS, SECONDS / 3, self.contact, self.lost.append)
        self.pass_time(2 * SECONDS)

    def elapsed(self) -> float:
        return self.clock.now() / 1000 - self.set_by

    def clock_set_forward(self, seconds: float) -> None:
        """The store's clock jumps; no time has passed."""
        self.clock.advance(seconds)
        self.set_by += seconds

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.contact.steady()
            self.clock.advance(1)

    async def rescue(self, seen: set[Run]) -> set[Run]:
        return await rescue(self.store, DEFAULT_RETENTION, self.contact, self.renewer, seen)


@pytest.fixture
def house() -> House:
    return House()


async def test_a_lapsed_worker_is_seen_in_one_round_and_rescued_in_the_next(house: House) -> None:
    await run(house.store, "a", worker="gone")
    house.pass_time(SECONDS)
    seen = await house.rescue(set())
    assert (await read(house.store, "a")).state is State.RUNNING
    await house.rescue(seen)
    job = await read(house.store, "a")
    assert (job.state, job.reason, job.crashes) == (State.QUEUED, "lease_lapsed", 1)


async def test_a_live_worker_is_left_alone(house: House) -> None:
    await run(house.store, "a", worker="alive")
    house.pass_time(SECONDS - 1)
    assert await house.rescue(set()) == set()


async def test_what_a_retired_worker_left_is_rescued_without_waiting_for_its_lease(house: House) -> None:
    await run(house.store, "a", worker="retired")
    await house.store.retire("retired")
    await house.rescue(await house.rescue(set()))
    assert (await read(house.store, "a")).state is State.QUEUED


async def test_who_retired_a_worker_has_time_to_say_how_it_ended(house: House) -> None:
    [job] = await run(house.store, "a", worker="crashed")
    await house.store.retire("crashed")
    seen = await house.rescue(set())
    await tell(house.store, job, Released("crashed:1"))
    await house.rescue(seen)
    job = await read(house.store, "a")
    assert (job.reason, job.crashes) == ("shutdown", 0)


async def test_our_own_workers_are_renewed_and_not_rescued(house: House) -> None:
    await house.renewer.enroll(make_worker("ours"))
    await submit(house.store, "a")
    await claim(house.store, worker="ours")
    await run(house.store, "b", worker="gone")
    house.pass_time(2 * SECONDS)
    seen = await house.rescue(set())
    assert len(seen) == 2
    await house.rescue(seen)
    assert (await read(house.store, "a")).state is State.RUNNING
    assert (await read(house.store, "b")).state is State.QUEUED


async def test_nothing_is_rescued_where_a_clock_was_set_since_the_last_look(house: House) -> None:
    await run(house.store, "a", worker="gone")
    house.pass_time(SECONDS)
    seen = await house.rescue(set())
    house.clock_set_forward(60)
    await house.rescue(seen)
    assert (await read(house.store, "a")).state is State.RUNNING
    house.pass_time(SECONDS)
    await house.rescue(seen)
    assert (await read(house.store, "a")).state is State.QUEUED


async def test_a_worker_that_somebody_else_retired_is_lost_once(house: House) -> None:
    for id in ("one", "two"):
        await house.renewer.enroll(make_worker(id))
    await house.store.retire("one")
    assert await house.renewer.renew()
    assert await house.renewer.renew()
    assert house.lost == ["one"]


async def test_a_forgotten_worker_is_renewed_no_more(house: House) -> None:
    await house.renewer.enroll(make_worker("done"))
    await submit(house.store, "a")
    await claim(house.store, worker="done")
    house.renewer.forget("done")
    house.pass_time(SECONDS)
    assert await house.renewer.renew()
    assert len(await house.store.rescuable(10)) == 1


async def test_a_job_that_moved_is_decided_anew(house: House) -> None:
    jobs = await run(house.store, "a", "b")
    await tell(house.store, await read(house.store, "a"), CancelRequested())
    settled = await settle(house.store, jobs, lambda job: Released(job.token or ""), DEFAULT_RETENTION)
    assert {job.id: job.state for job in settled} == {"a": State.CANCELLED, "b": State.QUEUED}


async def test_a_job_that_went_on_under_another_token_is_left_out(house: House) -> None:
    jobs = await run(house.store, "a")
    await tell(house.store, jobs[0], Released("w:1"))
    await claim(house.store, 2)
    assert await settle(house.store, jobs, lambda job: Released("w:1"), DEFAULT_RETENTION) == []
    assert (await read(house.store, "a")).state is State.RUNNING


async def test_a_rescue_does_not_insist_where_the_lease_was_renewed(house: House) -> None:
    jobs = await run(house.store, "a")
    assert await settle(house.store, jobs, lambda job: LeaseLapsed("w:1"), DEFAULT_RETENTION) == []


async def test_a_dead_worker_is_barred_and_its_jobs_are_suspects(house: House) -> None:
    await run(house.store, "a", "b", worker="w")
    await hand_back(house.store, DEFAULT_RETENTION, house.contact, "w", End(code=-9))
    for job in await house.store.get(["a", "b"]):
        assert isinstance(job, Job)
        assert (job.state, job.reason, job.crashes, job.suspect) == (State.QUEUED, "suspect", 0, True)
    assert await house.store.extend(["w"], LEASE) == [False]


async def test_overdue_jobs_expire(house: House) -> None:
    now = house.store.now()
    await submit(house.store, *(f"late-{n:03}" for n in range(300)), start_by=now + 500)
    await submit(house.store, "soon", start_by=now + 5_000)
    house.clock.advance(1)
    assert await expire(house.store, DEFAULT_RETENTION) == 300
    assert await expire(house.store, DEFAULT_RETENTION) == 0
    counts = (await house.store.counts()).states
    assert (counts[State.EXPIRED], counts[State.QUEUED]) == (300, 1)


async def test_what_was_kept_long_enough_is_purged_to_the_last(house: House) -> None:
    await submit(house.store, *(f"{n:03}" for n in range(600)))
    await settle(house.store, [job for job in await house.store.get([f"{n:03}" for n in range(600)]) if job],
                 lambda job: CancelRequested(), DEFAULT_RETENTION)  # fmt: skip
    assert await purge(house.store) == 0
    house.clock.advance(DEFAULT_RETENTION.cancelled / 1000)
    assert await purge(house.store) == 600
