"""The JSON of what tells of the system itself."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from async_job.core.job import State
from async_job.function import JobFunction
from async_job.job_view import time
from async_job.store.administration import QueueInfo, WorkerInfo
from async_job.store.protocol import Health


class Live(Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True, kw_only=True):
    """``caveats`` say what is weaker here than elsewhere."""

    status: Literal["ready"] = "ready"
    store: Health
    caveats: list[str] = field(default_factory=list)


class QueueView(Struct, frozen=True, kw_only=True):
    """A queue that holds jobs, is paused, or has been served. ``oldest_since``: since when its first job could have
    started. ``started``: jobs that were ever started from it. ``rate``: jobs started a second while others waited, over
    the last minute, as far as this process has seen."""

    name: str
    queued: int
    paused: bool
    oldest_since: str | None
    started: int
    rate: float | None


class Queues(Struct, frozen=True):
    items: list[QueueView]


class WorkerView(Struct, frozen=True, kw_only=True):
    """A worker process. Not ``alive``: it was retired, or has not renewed its lease."""

    id: str
    host: str
    pid: int
    started_at: str
    queues: tuple[str, ...]
    concurrency: int
    running: int
    version: str
    alive: bool
    lease_until: str | None


class Workers(Struct, frozen=True):
    items: list[WorkerView]


class Stats(Struct, frozen=True, kw_only=True):
    """How many jobs are in each state, and what there is to run them. ``slots``: how many run at once at most."""

    now: str
    states: dict[State, int]
    queues: list[QueueView]
    workers: int
    slots: int
    running: int


class JobType(Struct, frozen=True):
    """A registered function, with the JSON Schema of what it takes and gives."""

    type: str
    description: str
    queue: str
    runner: Literal["async", "thread", "process"]
    max_attempts: int
    max_crashes: int
    timeout: float | None
    default: bool
    input_schema: dict[str, Any]
    result_schema: dict[str, Any]


class JobTypes(Struct, frozen=True):
    items: list[JobType] = field(default_factory=list)


def view_queue(queue: QueueInfo, rate: float | None) -> QueueView:
    return QueueView(
        name=queue.name,
        queued=queue.queued,
        paused=queue.paused,
        oldest_since=None if queue.ready_since is None else time(queue.ready_since),
        started=queue.started,
        rate=None if rate is None else round(rate, 3),
    )


def view_worker(info: WorkerInfo, now: int) -> WorkerView:
    worker = info.worker
    return WorkerView(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        started_at=time(worker.started_at),
        queues=worker.queues,
        concurrency=worker.concurrency,
        running=info.running,
        version=worker.version,
        alive=info.lease_end > now,
        lease_until=time(info.lease_end) if info.lease_end else None,
    )


def view_type(function: JobFunction[..., Any, Any], default: bool) -> JobType:
    defaults = function.defaults
    return JobType(
        type=defaults.type,
        description=function.description,
        queue=defaults.queue,
        runner=function.runner,
        max_attempts=defaults.max_attempts,
        max_crashes=defaults.max_crashes,
        timeout=defaults.timeout,
        default=default,
        input_schema=function.input.json_schema,
        result_schema=function.result.json_schema,
    )
