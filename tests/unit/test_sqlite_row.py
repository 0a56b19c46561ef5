"""A job and its row in SQLite, where values are told apart by their place."""

from async_job.core.job import Attempt, ErrorInfo, ErrorKind, Job, Progress, State
from async_job.store import codec
from async_job.store.sqlite.row import COLUMNS, SUBMITTED, job_of, row_of

READ = {
    "state": State.FAILED,
    "suspect": True,
    "labels": {"a": "b"},
    "progress": Progress(1.0, 2.0),
    "error": ErrorInfo(kind=ErrorKind.TIMEOUT, message="slow"),
    "attempts": (Attempt(number=1, started_at=1, ended_at=2, reason="timeout"),),
}
WRITTEN = {
    "state": "failed",
    "suspect": 1,
    **{name: codec.encode(READ[name]).decode() for name in ("labels", "progress", "error", "attempts")},
}


def test_every_column_is_the_field_of_its_name() -> None:
    job = job_of(tuple(WRITTEN.get(name, f"its {name}") for name in COLUMNS))
    assert set(COLUMNS) == set(Job.__struct_fields__)
    assert {name: getattr(job, name) for name in COLUMNS} == {name: READ.get(name, f"its {name}") for name in COLUMNS}


def test_what_is_submitted_is_the_field_of_its_name() -> None:
    job = job_of(tuple(WRITTEN.get(name, f"its {name}") for name in COLUMNS))
    row = dict(zip(SUBMITTED, row_of(job), strict=True))
    assert row == {name: WRITTEN.get(name, f"its {name}") for name in SUBMITTED}
