"""One transaction for many callers: what fails in it, whom it concerns, and what reaches the disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested, Retention, Succeeded, decide
from async_job.errors import LeaseOver, NotEnrolled, StoreBroken, StoreFull, StoreUnavailable, UsageError
from async_job.store.protocol import ClaimId, IdempotencyKey, Index, Place
from async_job.store.sqlite.store import SqliteStore
from async_job.store.sqlite.turnstile import Turnstile
from support.jobs import LEASE, change, claim, end, make_job, make_worker, read, submit

HALF_A_PAIR = "\ud800"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, clock=ManualClock())
    await store.open()
    yield store
    assert await store.check() == []
    await store.close()


def commits(path: Path) -> int:
    """How often something was written, as far as another connection can see: WAL frames that end a transaction."""
    log = Path(f"{path}-wal").read_bytes()
    salt = log[16:24]
    frames = (log[at : at + 24] for at in range(32, len(log), 24 + 4096))
    return sum(frame[8:16] == salt and frame[4:8] != b"\0\0\0\0" for frame in frames)


async def test_a_write_is_read_by_whoever_asks_after_its_answer(store: SqliteStore) -> None:
    async def one(name: str) -> None:
        for n in range(25):
            await submit(store, f"{name}-{n}")
            assert (await read(store, f"{name}-{n}")).state is State.QUEUED

    await asyncio.gather(*(one(name) for name in "abcdefgh"))


async def test_callers_share_a_commit(store: SqliteStore, path: Path) -> None:
    before = commits(path)
    await asyncio.gather(*(submit(store, f"{n}") for n in range(200)))
    assert commits(path) - before == 1


async def test_what_is_large_shares_less_of_a_commit(store: SqliteStore, path: Path) -> None:
    """Of a quarter of a MiB, four go together."""
    large = b'"%s"' % (b"x" * 250_000)
    await store.enroll(make_worker(), LEASE)
    await submit(store, *"abcde")
    jobs = await claim(store, 1, limit=5)
    before = commits(path)
    ends = [change(job, Succeeded("w:1", large), store.now()) for job in jobs]
    await asyncio.gather(*(store.apply([one]) for one in ends))
    assert commits(path) - before == 2
    await asyncio.gather(*(submit(store, name, input=large) for name in "vwxyz"))
    assert commits(path) - before == 4


async def test_a_large_call_is_written_in_batches_and_answered_in_order(store: SqliteStore, path: Path) -> None:
    before = commits(path)
    jobs = [make_job(1, f"{n}") for n in range(1_000)]
    answers = await store.submit(jobs)
    assert [answer.id for answer in answers] == [job.id for job in jobs]
    assert commits(path) - before == 4


async def test_a_claim_that_finds_nothing_writes_nothing(store: SqliteStore, path: Path) -> None:
    await store.enroll(make_worker(), LEASE)
    before = commits(path)
    for n in range(1, 20):
        assert await claim(store, n) == []
    assert commits(path) == before


async def test_a_refusal_concerns_its_caller_only(store: SqliteStore) -> None:
    await store.enroll(make_worker("late"), 0)
    answers = await asyncio.gather(
        store.submit([make_job(1, "a")]),
        store.claim(ClaimId("nobody", 1), ["default"], 1),
        store.submit([make_job(1, "b")]),
        store.claim(ClaimId("late", 1), ["default"], 1),
        store.submit([make_job(1, "c")]),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [list, NotEnrolled, list, LeaseOver, list]
    assert [job is not None for job in await store.get(["a", "b", "c"])] == [True] * 3


async def test_what_cannot_be_stored_concerns_its_caller_only(store: SqliteStore) -> None:
    """Whatever the whole group had done up to there is done again without it."""
    await store.enroll(make_worker(), LEASE)
    answers = await asyncio.gather(
        store.submit([make_job(1, "a")]),
        store.claim(ClaimId("w", 1), ["default"], 10),
        store.submit([make_job(1, "b"), make_job(1, HALF_A_PAIR), make_job(1, "c")]),
        store.submit([make_job(1, "too-large", timeout=2**70)]),
        store.submit([make_job(1, "d")]),
        return_exceptions=True,
    )
    assert [type(answer).__name__ for answer in answers] == ["list", "Claimed", "UsageError", "UsageError", "list"]
    found = await store.get(["a", "b", "c", "d", "too-large", HALF_A_PAIR])
    assert [job.state if job else None for job in found] == [
        State.RUNNING, None, None, State.QUEUED, None, None,
    ]  # fmt: skip


async def test_another_program_that_holds_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_job.store.sqlite.connection.BUSY_TIMEOUT", 10)
    store = SqliteStore(path)
    await store.open()
    shell = apsw.Connection(str(path))
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another program"):
        await submit(store, "a")
    assert await store.get(["a"]) == [None]
    shell.execute("ROLLBACK")
    shell.close()
    await submit(store, "a")
    await store.close()


async def test_another_process_that_never_ends_its_turn(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers hear of it, and nothing that they asked in vain is done afterwards in their name twice."""
    monkeypatch.setattr("async_job.store.sqlite.lane.STUCK", 0.05)
    turnstile = Turnstile(path)
    with turnstile.turn():
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="another process holds it"):
                await store.submit([make_job(1, "a")])
        assert await store.get(["a"]) == [None]
    turnstile.close()
    monkeypatch.undo()
    await submit(store, "a")
    assert sum((await store.counts()).states.values()) == 1


async def test_a_close_does_not_wait_for_ever_either(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is left to itself: it ends when it gets its turn, or with the process."""
    store = SqliteStore(path)
    await store.open()
    monkeypatch.setattr("async_job.store.sqlite.lane.STUCK", 0.05)
    turnstile = Turnstile(path)
    with turnstile.turn():
        with pytest.raises(StoreUnavailable):
            await submit(store, "a")
        with pytest.raises(StoreUnavailable):
            await store.close()
        await store.close()
    turnstile.close()


async def test_a_full_database_turns_submits_away_and_no_one_else(store: SqliteStore) -> None:
    await store.enroll(make_worker(), LEASE)
    await submit(store, "first")
    jobs = await claim(store)
    assert store._writer is not None
    assert store._writer._desk is not None
    connection = store._writer._desk._connection
    connection.pragma("max_page_count", connection.pragma("page_count") + 8)
    answers = await asyncio.gather(
        *(store.submit([make_job(1, f"{n}", input=b"1" * 10_000)]) for n in range(20)),
        store.apply([change(jobs[0], Succeeded("w:1", b"1"), 1)]),
        store.extend(["w"], LEASE),
        return_exceptions=True,
    )
    assert {type(answer) for answer in answers[:-2]} == {StoreFull}
    assert (await read(store, "first")).state is State.SUCCEEDED
    assert answers[-1] == [True]
    connection.pragma("max_page_count", 1_000_000)
    await submit(store, "later")


async def test_the_log_is_kept_short(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stays long keeps it from being emptied; when he is gone it is."""
    monkeypatch.setattr("async_job.store.sqlite.transaction.CHECKPOINT_PAGES", 20)
    monkeypatch.setattr("async_job.store.sqlite.transaction.FORCED_CHECKPOINT_PAGES", 100)
    monkeypatch.setattr("async_job.store.sqlite.connection.BUSY_TIMEOUT", 10)
    other = SqliteStore(path)
    await other.open()

    async def write(name: str) -> int:
        for n in range(50):
            await other.submit([make_job(1, f"{name}-{n}", input=b"1" * 10_000)])
        return size(path)

    assert await write("a") < 60 * 4096
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM jobs").get == 50
    held = await write("b")
    assert held > 200 * 4096
    assert reader.execute("SELECT count(*) FROM jobs").get == 50
    reader.execute("COMMIT")
    reader.close()
    assert await write("c") < held
    await other.close()


def size(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


async def test_each_commit_is_on_the_disk_before_it_is_answered(store: SqliteStore) -> None:
    assert store._writer is not None
    assert store._writer._desk is not None
    connection = store._writer._desk._connection
    assert (connection.pragma("journal_mode"), connection.pragma("synchronous")) == ("wal", 2)
    assert connection.pragma("fullfsync") == 1
    health = await store.health()
    assert health.durable
    assert health.backend == f"sqlite {apsw.sqlite_lib_version()}"


async def test_health_says_when_it_cannot_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_job.store.sqlite.connection.BUSY_TIMEOUT", 10)
    store = SqliteStore(path)
    await store.open()
    await store.health()
    shell = apsw.Connection(str(path))
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await store.health()
    shell.close()
    await store.close()


async def test_damage_is_found(path: Path) -> None:
    store = SqliteStore(path, clock=ManualClock())
    await store.open()
    await submit(store, "a", "b", "c", "d")
    await end(store, "e", webhook="hook")
    await store.enroll(make_worker(), LEASE)
    await claim(store, limit=1)
    shell = apsw.Connection(str(path))
    shell.execute("""
        DELETE FROM workers;
        DELETE FROM queues;
        INSERT INTO deliveries SELECT 'x', 'gone', 'e', 't', 1, 1, 'pending', 0, NULL, '', NULL;
        UPDATE deliveries SET state = 'lost' WHERE job_id = 'e';
        UPDATE jobs SET state = 'lost' WHERE id = 'b';
        UPDATE jobs SET state = 'succeeded' WHERE id = 'c';
        INSERT INTO log_lines VALUES ('gone', 1, 1, 'line');
        UPDATE tally SET n = n + 1 WHERE state = 'queued';
    """)
    shell.close()
    findings = {(finding.id, finding.problem) for finding in await store.check()}
    assert findings == {
        ("a", "running under a worker that is not known"),
        ("a", "started, and its queue was never claimed from"),
        ("b", "in a state that does not exist"),
        ("c", "finished at no time"),
        ("c", "succeeded without a result"),
        ("e", "has a delivery in a state that does not exist"),
        ("gone", "has deliveries and is not there"),
        ("gone", "has log lines and is not there"),
        ("queued/default", "tally says another number of jobs in this state and queue than there are"),
    }
    await store.repair()
    left = {(finding.id, finding.problem) for finding in await store.check()}
    assert left == {("b", "in a state that does not exist"), ("c", "succeeded without a result")}
    await store.close()


def move(old: Path, new: Path) -> None:
    old.replace(new)


def copy(old: Path, new: Path) -> None:
    new.write_bytes(old.read_bytes())


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_was_taken_away_is_not_written_to(path: Path, replaced: bool) -> None:
    """What went into a file without a name would be lost with the process."""
    store = SqliteStore(path)
    await store.open()
    await submit(store, "a")
    away = Path(f"{path}-before")
    move(path, away)
    if replaced:
        copy(away, path)
    with pytest.raises(StoreBroken, match="removed or replaced while it was in use"):
        await submit(store, "b")
    move(away, path)
    await submit(store, "b")
    await store.close()


async def test_queues_that_are_empty_for_good_are_forgotten(store: SqliteStore, path: Path) -> None:
    await submit(store, *"abc", queue="once")
    for job in await store.get([*"abc"]):
        assert job is not None
        ended = decide(job, CancelRequested(), store.now(), Retention(cancelled=1))
        assert ended is not None
        await store.apply([replace(ended, fields={**ended.fields, "kept_until": 0})])
    assert await store.purge(10) == 3
    with apsw.Connection(str(path)) as shell:
        assert shell.execute("SELECT * FROM tally").fetchall() == []
    shell.close()


async def test_expired_keys_leave_the_file_with_a_purge(path: Path) -> None:
    """All of them, however few jobs there are to remove."""
    clock = ManualClock()
    store = SqliteStore(path, clock=clock)
    await store.open()
    jobs = [make_job(clock.now(), f"{n:04}") for n in range(701)]
    lasts = [1_000] * 700 + [1_001]
    await store.submit(jobs, [IdempotencyKey(job.id, "", clock.now() + n) for job, n in zip(jobs, lasts, strict=True)])
    shell = apsw.Connection(str(path))
    clock.advance(0.999)
    await store.purge(10)
    assert shell.execute("SELECT count(*) FROM idempotency_keys").get == 701
    clock.advance(0.001)
    await store.purge(10)
    assert shell.execute("SELECT name FROM idempotency_keys").fetchall() == [("0700",)]
    shell.close()
    await store.close()


async def test_a_place_that_no_store_gave(path: Path) -> None:
    """A cursor that somebody made up harms nobody else."""
    store = SqliteStore(path)
    await store.open()
    await submit(store, "a")
    with pytest.raises(UsageError, match="64 bits"):
        await store.scan(Index(State.QUEUED, "default"), Place(2**63, "a"), 10)
    with pytest.raises(UsageError, match="Unicode"):
        await store.scan(Index(State.QUEUED, "default"), Place(0, "\ud800"), 10)
    assert len(await store.scan(Index(State.QUEUED, "default"), None, 10)) == 1
    await store.close()
