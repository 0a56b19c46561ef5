"""The JSON of the events of all jobs."""

from __future__ import annotations

from msgspec import Struct

from async_job.core.job import FINISHED, State
from async_job.store.protocol import Changes


class AfterQuery(Struct, frozen=True):
    """``after``: the id of the last event that was seen. Others are left to the access control."""

    after: str | None = None


class Changed(Struct, frozen=True):
    """The job came to the state."""

    job: str
    version: int
    state: State
    reason: str
    done: bool


class ChangeEvent(Struct, frozen=True):
    items: list[Changed]


class ChangePage(Struct, frozen=True):
    """Go on with ``?after=next``. ``reset``: the log no longer reaches back so far; read anew what matters to you."""

    items: list[Changed]
    next: str
    reset: bool


def view_changes(changes: Changes) -> list[Changed]:
    return [
        Changed(entry.id, entry.version, entry.state, entry.reason, entry.state in FINISHED)
        for entry in changes.entries
    ]
