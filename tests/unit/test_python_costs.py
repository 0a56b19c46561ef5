"""What a job costs in Python, counted in calls, and what in SQLite, in statements and commits. No clock is read."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from async_job import Jobs
from async_job.core.job import Job
from async_job.core.lifecycle import Succeeded
from async_job.settings import cores
from async_job.store.protocol import ClaimId
from async_job.store.sqlite.store import SqliteStore
from async_job.worker.worker import Worker
from support.calls import Calls
from support.jobs import LEASE, change, make_job, make_worker

GROUP = 10
FIRST, LAST, ALL = 401, 2001, 2100
"""Calls are counted from the first of these jobs to the last, when the groups have found their size."""

SEEN_RUN = {"memory": (66, 39), "sqlite": (30, 22), "redis": (51, 62), "redis by turns": (53, 64)}
"""Functions of the package entered and built-in functions called by them, a job, in the thread of the loop, with
CPython 3.11. On SQLite the store's own part is another thread's."""
SEEN_SUBMIT = {"memory": (31, 30), "sqlite": (37, 33), "redis": (46, 42)}
SLACK = 1.1


def within(calls: Calls, jobs: int, seen: tuple[int, int]) -> bool:
    return calls.entered / jobs <= seen[0] * SLACK and calls.outside / jobs <= seen[1] * SLACK


@pytest.mark.parametrize("trips", [1, 2])
async def test_calls_of_a_run(store_url: str, trips: int, request: pytest.FixtureRequest) -> None:
    """From the claim to the outcome, with a worker that runs ten jobs at a time, in one group or in two by turns."""
    jobs = Jobs(store=store_url, concurrency=GROUP, workers=cores() if trips == 1 else 0)
    calls, finished = Calls(), asyncio.Event()
    ran = 0

    @jobs.job
    async def noop() -> None:
        nonlocal ran
        ran += 1
        if ran == FIRST:
            calls.start()
        elif ran == LAST:
            calls.stop()
        elif ran == ALL:
            finished.set()

    await jobs.submit_many([noop.request() for _ in range(ALL)])
    store = await jobs.store()
    await store.enroll(make_worker(), LEASE)
    worker = Worker(jobs, store, "w", children=None)
    running = asyncio.create_task(worker.run())
    await finished.wait()
    worker.drain()
    await running
    assert (await store.counts()).states["succeeded"] == ALL
    await jobs.close()
    by_turns = " by turns" if min(trips, store.trips) == 2 else ""
    assert within(calls, LAST - FIRST, SEEN_RUN[request.node.callspec.params["store_url"] + by_turns]), calls


async def test_calls_of_a_submit(store_url: str, request: pytest.FixtureRequest) -> None:
    """One by one, from ten tasks."""
    jobs, calls = Jobs(store=store_url), Calls()

    @jobs.job
    async def noop() -> None: ...

    async def submit(count: int) -> None:
        for _ in range(count):
            await noop.submit()

    await asyncio.gather(*(submit(10) for _ in range(GROUP)))
    calls.start()
    await asyncio.gather(*(submit(30) for _ in range(GROUP)))
    calls.stop()
    await jobs.close()
    assert within(calls, 30 * GROUP, SEEN_SUBMIT[request.node.callspec.params["store_url"]]), calls


class Statements:
    """What the writing connections of SQLite are told, by the first word of each statement."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def watch(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, self._seen)

    def _seen(self, event: dict[str, object]) -> None:
        if not event["trigger"]:
            self.counted[str(event["sql"]).split()[0].upper()] += 1


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    statements = Statements()
    monkeypatch.setattr(apsw, "connection_hooks", [*apsw.connection_hooks, statements.watch])
    return statements


@pytest.fixture
async def store(tmp_path: Path, statements: Statements) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "jobs.db")
    await store.open()
    await store.enroll(make_worker(), 100 * LEASE)
    statements.counted.clear()
    yield store
    await store.close()


@pytest.mark.store("sqlite")
async def test_submits_that_meet_are_one_statement(store: SqliteStore, statements: Statements) -> None:
    jobs = [make_job(store.now(), f"{n}") for n in range(GROUP)]
    await asyncio.gather(*(store.submit([job]) for job in jobs))
    assert statements.counted == {"BEGIN": 1, "INSERT": 1, "COMMIT": 1}
    assert (await store.counts()).states["queued"] == GROUP


@pytest.mark.store("sqlite")
async def test_statements_and_commits(store: SqliteStore, statements: Statements) -> None:
    """A group of ten is one transaction each way: jobs in, then outcomes together with the next claim."""
    groups = 20
    jobs = [make_job(store.now(), f"{n:04}") for n in range(groups * GROUP)]
    for at in range(0, len(jobs), GROUP):
        await store.submit(jobs[at : at + GROUP])
    assert statements.counted == {"BEGIN": groups, "INSERT": groups, "COMMIT": groups}
    statements.counted.clear()

    async def finish(n: int, held: list[Job]) -> None:
        await store.apply([change(job, Succeeded(ClaimId("w", n).token, b"null"), store.now()) for job in held])

    held = (await store.claim(ClaimId("w", 1), ["default"], GROUP)).jobs
    for n in range(2, groups + 2):
        _, claimed = await asyncio.gather(finish(n - 1, held), store.claim(ClaimId("w", n), ["default"], GROUP))
        held = claimed.jobs
    assert statements.counted["BEGIN"] == statements.counted["COMMIT"] == groups + 1
    # One for each outcome; the rest is for the claim, once a group.
    assert statements.counted["UPDATE"] <= len(jobs) + 2 * (groups + 1)
    assert statements.counted["SELECT"] + statements.counted["INSERT"] <= 3 * (groups + 1)
    assert statements.counted.keys() <= {"BEGIN", "COMMIT", "UPDATE", "SELECT", "INSERT"}
    assert (await store.counts()).states["succeeded"] == len(jobs)
