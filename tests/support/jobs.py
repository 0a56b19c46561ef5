"""Jobs and workers for the tests of stores, and the steps of a job's life."""

from itertools import count
from typing import Any

from msgspec.structs import replace

from async_job.core.job import Change, ErrorInfo, ErrorKind, Job, State
from async_job.core.life import lived
from async_job.core.lifecycle import CancelRequested, Event, decide
from async_job.store.protocol import ClaimId, Entry, Stale, Store, Worker

LEASE = 15_000
HOUR = 3_600_000

_numbers = count(1)


def make_job(now: int, id: str | None = None, *, delay: int = 0, **fields: Any) -> Job:
    """A job as a caller submits it, ready ``delay`` ms from now."""
    given: dict[str, Any] = {
        "id": id or f"job-{next(_numbers):06}",
        "type": "demo",
        "input": b'{"n":1}',
        "state": State.QUEUED,
        "created_at": now,
        "scheduled_for": now + delay,
        "updated_at": now,
    }
    given |= fields
    state = State.SCHEDULED if given["scheduled_for"] > now else given["state"]
    return Job(**{**given, "state": state})


def full_job(now: int, id: str = "full", **fields: Any) -> Job:
    """A job with something in every field that a submit can set."""
    given: dict[str, Any] = {
        "type": "mail.send-2",
        "input": '{"to":"Zoë ☃ \\u0000","list":[1,2.5,null]}'.encode(),
        "queue": "mail",
        "priority": -3,
        "max_attempts": 7,
        "max_crashes": 2,
        "timeout": 90_000,
        "start_by": now + HOUR,
        "unique_key": "Zoë:1 {x} \x00",
        "owner": "key_ä\x00",
        "webhook": "https://example.com/ä?a=1&b={x}\x00",
        "labels": {"tenant": "ä\x00\n", "": "empty", "k:1": ""},
        "suspect": True,
    }
    return make_job(now, id, **{**given, **fields})


def written(change: Change) -> Job:
    """The job as it is when the change was written, and nothing was since the decision."""
    job, version = change.job, change.job.version + 1
    life = lived(job.life, version, change.state)
    return replace(job, **change.fields, version=version, life=life, logged=job.logged + len(change.log))


def make_worker(id: str = "w", **fields: Any) -> Worker:
    given: dict[str, Any] = {"host": "host", "pid": 1, "started_at": 1, "queues": ("default",), "concurrency": 10}
    return Worker(id=id, **{**given, **fields})


def error(kind: ErrorKind = ErrorKind.APPLICATION, **fields: Any) -> ErrorInfo:
    return ErrorInfo(**{"kind": kind, "message": "no luck", "type": "ValueError", "retryable": True, "at": 1, **fields})


async def submit(store: Store, *ids: str, **fields: Any) -> list[Job]:
    """Submits jobs with these ids, and checks that they were created."""
    jobs = [make_job(store.now(), id, **fields) for id in ids]
    answers = await store.submit(jobs)
    assert all(answer.created for answer in answers)
    return jobs


async def claim(
    store: Store, n: int = 1, worker: str = "w", queues: tuple[str, ...] = ("default",), limit: int = 100
) -> list[Job]:
    return (await store.claim(ClaimId(worker, n), queues, limit)).jobs


async def run(store: Store, *ids: str, worker: str = "w", n: int = 1, **fields: Any) -> list[Job]:
    """Submits jobs, enrolls the worker and lets it claim them: all are running."""
    await submit(store, *ids, **fields)
    await store.enroll(make_worker(worker), LEASE)
    queue = fields.get("queue", "default")
    jobs = await claim(store, n, worker, (queue,), len(ids))
    assert {job.id for job in jobs} == set(ids)
    return sorted(jobs, key=lambda job: ids.index(job.id))


def change(job: Job, event: Event, now: int) -> Change:
    decided = decide(job, event, now)
    assert decided is not None
    return decided


async def tell(store: Store, job: Job, event: Event) -> Job:
    """Decides what follows from the event and applies it; the guard has to hold."""
    (answer,) = await store.apply([change(job, event, store.now())])
    assert not isinstance(answer, Stale), answer
    return answer


async def end(store: Store, *ids: str, **fields: Any) -> list[Job]:
    """Submits jobs and cancels them one after the other: all have ended."""
    return [await tell(store, job, CancelRequested()) for job in await submit(store, *ids, **fields)]


async def read(store: Store, id: str) -> Job:
    (job,) = await store.get([id])
    assert job is not None
    return job


async def cursor(store: Store) -> str:
    return (await store.changes(None, 0)).cursor


async def entries(store: Store, after: str) -> list[Entry]:
    """All entries after the cursor, however many answers they come in."""
    found: list[Entry] = []
    while True:
        changes = await store.changes(after, 0)
        assert not changes.reset
        if not changes.entries:
            return found
        found += changes.entries
        after = changes.cursor
