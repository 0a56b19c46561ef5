"""The JSON of the events of all jobs."""

from __future__ import annotations

from msgspec import Struct

from async_job.core.job import FINISHED, State
from async_job.store.protocol import Changes


class AfterQuery(Struct, frozen=True):
    """``after``: the id of the last event that was seen."""

    after: str | None = None


class JobEventsQuery(AfterQuery, frozen=True):
    """``ticket``: instead of a key, which a browser cannot send with this."""

    ticket: str | None = None


class NewTicket(Struct, frozen=True, forbid_unknown_fields=True):
    """``job``: the id of the job whose stream is to be read."""

    job: str


class TicketView(Struct, frozen=True, kw_only=True):
    """``events`` is where the stream is, with the ticket."""

    ticket: str
    job: str
    expires_at: str
    events: str


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
