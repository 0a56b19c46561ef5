"""Celery as it comes: acknowledged before it is run."""

from celery import Celery
from ledger import run

from rivals import LONGEST, URL

COMMAND = ["bin/celery", "--app", "rivals.celery", "worker", "--concurrency", "4", "--loglevel", "WARNING"]
SILENCE: float | None = None

app = Celery("faults", broker=URL, backend=URL)
# Their guide says to set all three, and longer than the longest task.
VISIBILITY = LONGEST + 5
NOTE = f"defaults: acknowledges a task before it runs; visibility_timeout={VISIBILITY} s (3600)"
app.conf.broker_transport_options = {"visibility_timeout": VISIBILITY}
app.conf.result_backend_transport_options = {"visibility_timeout": VISIBILITY}
app.conf.visibility_timeout = VISIBILITY


@app.task(name="work")
def work(id: str, seconds: float, how: str) -> str:
    return run(id, seconds, how)


def submit(ids: list[str], seconds: float, how: str) -> None:
    for id in ids:
        work.apply_async((id, seconds, how), task_id=id)


def results(ids: list[str]) -> dict[str, str | None]:
    found = {id: app.AsyncResult(id) for id in ids}
    return {id: result.result if result.successful() else None for id, result in found.items()}
