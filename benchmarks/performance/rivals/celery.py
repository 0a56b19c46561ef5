"""Celery: workers by its command line, jobs by `delay`."""

from bodies import SYNC
from celery import Celery
from celery.result import AsyncResult

from rivals import CONCURRENCY, FASTEST, URL, VARIANT

POOL = VARIANT or "prefork"
NOTE = {
    "solo": "pool=solo: one job at a time in each process",
    "prefork": "pool=prefork: as many child processes as the concurrency says; acknowledges a task before it runs",
    "threads": "pool=threads",
    "fastest": "pool=solo, task_ignore_result: neither status nor result",
}[POOL]

app = Celery("benchmark", broker=URL, backend=URL)
app.conf.task_ignore_result = FASTEST
app.conf.worker_hijack_root_logger = False
work = {name: app.task(name=name)(body) for name, body in SYNC.items()}


def workers(processes: int) -> list[list[str]]:
    pool = ["--pool", "solo" if FASTEST else POOL]
    command = ["bin/celery", "--app", "rivals.celery", "worker", *pool, "--concurrency", str(CONCURRENCY),
               "--loglevel", "WARNING"]  # fmt: skip
    return [[*command, "--hostname", f"worker{number}@%h"] for number in range(processes)]


def connect() -> None:
    app.connection_for_write().ensure_connection(max_retries=1)


def submit(body: str) -> AsyncResult:
    return work[body].delay()


def result(handle: AsyncResult, seconds: float) -> int:
    return handle.get(timeout=seconds)


def close() -> None:
    app.close()
