"""A row that cannot be read, as one of a newer version may be, holds up no other job."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from structlog.testing import capture_logs

from async_job import Jobs
from async_job.clock import ManualClock
from async_job.core.job import Progress, State
from async_job.core.lifecycle import DEFAULT_RETENTION, CancelRequested
from async_job.core.query import Query
from async_job.core.submission import OnConflict, Options
from async_job.errors import StoreBroken
from async_job.finding import find
from async_job.store.protocol import Beat, Due, Index
from async_job.store.sqlite.store import SqliteStore
from async_job.submitting import Accepted, submit_all
from async_job.watch import Watcher
from async_job.worker.active import ActiveRun
from async_job.worker.claimer import Claimer
from async_job.worker.executor import Executor
from async_job.worker.reconciler import reconcile
from support.claiming import end_together
from support.jobs import LEASE, change, claim, end, make_worker, read, run, submit, tell

pytestmark = pytest.mark.store("sqlite")


def execute(folder: Path, statement: str) -> None:
    shell = apsw.Connection(str(folder / "jobs.db"))
    shell.execute(statement)
    shell.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """With jobs of which b and d are damaged."""
    store = SqliteStore(tmp_path / "jobs.db", clock=ManualClock())
    await store.open()
    await submit(store, "a", "b", "c")
    await submit(store, "d", "e", queue="late", start_by=1)
    execute(tmp_path, "UPDATE jobs SET labels = '?' WHERE id IN ('b', 'd')")
    yield store
    await store.close()


async def test_it_is_told_who_asks_for_it(store: SqliteStore) -> None:
    with pytest.raises(StoreBroken, match=r"^job b cannot be read"):
        await store.get(["b"])


async def test_check_finds_it(store: SqliteStore) -> None:
    assert [finding.id for finding in await store.check()] == ["b", "d"]
    assert {finding.problem[:16] for finding in await store.check()} == {"cannot be read: "}


async def test_only_who_waits_for_it_is_told(store: SqliteStore) -> None:
    watcher = Watcher(store)
    good, bad = (asyncio.create_task(watcher.wait(id, None, 60.0)) for id in "ab")
    with pytest.raises(StoreBroken, match="job b cannot be read"):
        await bad
    await tell(store, await read(store, "a"), CancelRequested())
    ended = await good
    assert ended is not None
    assert ended.state is State.CANCELLED
    await watcher.close()


async def test_it_is_left_out(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
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
    counts = await store.counts()
    assert (counts.states["running"], counts.states["queued"]) == (3, 2)


async def test_a_write_that_meets_it_is_taken_back_whole(store: SqliteStore, tmp_path: Path) -> None:
    """Whoever asked for it is told of no part of it, and may ask for the parts again."""
    [ended] = await end(store, "ended")
    with pytest.raises(StoreBroken, match="job b cannot be read"):
        await store.delete(["ended", "b"])
    assert await store.get(["ended"]) == [ended]

    a, b = await submit(store, "g", "h")
    execute(tmp_path, "UPDATE jobs SET labels = '?', version = version + 1 WHERE id = 'h'")
    with pytest.raises(StoreBroken, match="job h cannot be read"):
        await store.apply([change(job, CancelRequested(), store.now()) for job in (a, b)])
    assert await store.get(["g"]) == [a]


@pytest.mark.parametrize("on_conflict", ["reject", "replace"])
async def test_one_that_holds_a_unique_key_is_told_who_asks_for_the_key(
    store: SqliteStore, tmp_path: Path, on_conflict: OnConflict
) -> None:
    jobs = Jobs()

    @jobs.job(name="demo")
    def demo() -> None: ...

    await submit(store, "held", unique_key="k")
    execute(tmp_path, "UPDATE jobs SET labels = '?' WHERE id = 'held'")
    options = [Options(), Options(unique_key="k", on_conflict=on_conflict), Options()]
    requests = [jobs.request(demo, b"{}", one) for one in options]
    first, second, third = await submit_all(store, requests, jobs.settings)
    assert isinstance(first, Accepted)
    assert isinstance(second, StoreBroken)
    assert isinstance(third, Accepted)
    assert (await store.counts()).states["queued"] == 8


async def test_many_hide_no_other_job(store: SqliteStore, tmp_path: Path) -> None:
    """Though all of them come first, and are more than what is asked for."""
    await run(store, *"klmnop", queue="early")
    await submit(store, *"qrstuv", queue="late", start_by=2)
    execute(tmp_path, "UPDATE jobs SET labels = '?' WHERE id IN ('k', 'l', 'm', 'o', 'q', 'r', 's', 't')")
    await store.retire("w")
    assert [[job.id for job in await store.rescuable(limit)] for limit in (1, 2, 3)] == [["n"], ["n", "p"], ["n", "p"]]
    execute(tmp_path, "UPDATE jobs SET labels = '?' WHERE id = 'e'")
    assert [[job.id for job in await store.overdue(limit)] for limit in (1, 2, 3)] == [["u"], ["u", "v"], ["u", "v"]]


async def test_a_claim_of_nothing_else_goes_on_to_the_next(store: SqliteStore) -> None:
    await store.enroll(make_worker(), LEASE)
    assert [[job.id for job in await claim(store, n, limit=1)] for n in (1, 2, 3)] == [["a"], [], ["c"]]


async def test_a_list_shows_the_others(store: SqliteStore) -> None:
    """Also where what cannot be read is all of a page, or the end of one."""
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


async def test_what_is_forgotten_is_found_beside_it(store: SqliteStore) -> None:
    await store.enroll(make_worker(), LEASE)
    await claim(store, limit=9)
    executor = Executor({}, anext, store.now)  # type: ignore[arg-type]
    claimer = Claimer(store, executor, "w", ["default"], False, 4, DEFAULT_RETENTION)
    claimer.claims.next(1)
    claimer.claims.settle(1)
    assert [job.id for job in await reconcile(store, claimer, DEFAULT_RETENTION)] == ["a", "c"]


async def test_a_delivery_is_left_out_of_lists(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await end(store, "f", "g", webhook="hook")
    execute(tmp_path, "UPDATE deliveries SET state = 'odd' WHERE job_id = 'f'")
    assert [delivery.job_id for delivery in await store.outbox.recent(9)] == ["g"]
    assert await store.outbox.deliveries("f") == []
    assert "left out: a delivery cannot be read" in caplog.text


async def test_an_outcome_that_cannot_be_told_holds_up_no_other(store: SqliteStore, tmp_path: Path) -> None:
    """The claimer drops it, and says so."""
    execute(tmp_path, "DELETE FROM jobs")
    await submit(store, "x", "y", "z", type="work")
    await store.enroll(make_worker(), LEASE)

    async def damage(active: ActiveRun) -> None:
        if active.job.id == "y":
            # The store reads the whole record where it is another than the one that was decided on.
            await store.report([Beat("y", active.job.token or "", Progress(1.0))])
            execute(tmp_path, "UPDATE jobs SET labels = '?' WHERE id = 'y'")

    with capture_logs() as lines:
        await end_together(store, 1, "x", "y", "z", before=damage)
    assert [job.state for job in await store.get(["x", "z"]) if job] == [State.SUCCEEDED] * 2
    assert [(line["event"], line["job"]) for line in lines] == [
        ("an outcome may not be stored, its job cannot be read", "y")
    ]
    assert (await store.counts()).states[State.RUNNING] == 1
