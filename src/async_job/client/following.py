"""The events of a job: server-sent events as they come in pieces, and going on where a stream was cut."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from async_job.client.reading import ReceivedJob, decode, milliseconds, read_job, read_progress
from async_job.client.refusals import error_of, read_problem
from async_job.client.steps import BUSY, Call, Lost, Reply, nobody, pause_after
from async_job.core.job import Job, LogLine, Progress, State
from async_job.job_view import ProgressView

HOLD: Final = 20
"""Seconds; the server sends a comment more often."""
LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")

Kind: TypeAlias = Literal["snapshot", "state", "progress", "log", "result", "reset"]


class StateChange(Struct, frozen=True):
    """The job came to the state by the version."""

    version: int
    state: State
    done: bool


class Snapshot(Struct, frozen=True):
    """The job with its log, as they are when the stream begins."""

    job: Job
    log: tuple[LogLine, ...]


class JobEvent(Struct, frozen=True):
    """What happened; ``id`` says where to go on.

    ``data`` is a ``Snapshot``, ``StateChange``, ``Progress`` or ``LogLine``, or for ``result`` the job at its end. For
    ``reset`` it is ``None``: what came before is no longer all known, and a snapshot follows.
    """

    id: str
    event: Kind
    data: Snapshot | StateChange | Progress | LogLine | Job | None


class ReceivedLine(Struct, frozen=True):
    at: str
    message: str


class ReceivedSnapshot(Struct, frozen=True):
    job: ReceivedJob
    log: list[ReceivedLine]


class Following:
    """Follows a job to its end: ``call`` opens a stream, ``feed`` takes what comes, ``cut`` what comes between."""

    def __init__(self, url: str, id: str, path: str, after: str | None, patience: float) -> None:
        self.ended = False
        self._url = url
        self._id = id
        self._path = path
        self._last = after or ""
        self._patience = patience
        self._failures = 0
        self._until = 0.0
        self._rest = b""
        self._fields: dict[str, str] = {}

    def call(self) -> Call:
        """Asks for what comes after the last event."""
        self._rest, self._fields = b"", {}
        headers = {"Accept": "text/event-stream"}
        if self._last:
            headers["Last-Event-ID"] = self._last
        return Call("GET", f"{self._path}/events", headers, hold=HOLD)

    def feed(self, piece: bytes) -> list[JobEvent]:
        """The events that are complete with this piece of the stream."""
        self._failures = 0
        *lines, self._rest = LINE_END.split(self._rest + piece)
        return [event for line in lines if (event := self._take(line.decode())) is not None]

    def _take(self, line: str) -> JobEvent | None:
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        self._last = fields.get("id", self._last)
        event = self._read(fields["event"], fields["data"].encode(), fields.get("id", ""))
        self.ended = event is not None and event.event == "result"
        return event

    def _read(self, kind: str, data: bytes, id: str) -> JobEvent | None:
        """``None``: a kind of event that this version does not know."""
        match kind:
            case "snapshot":
                received = decode(data, ReceivedSnapshot, self._url)
                return JobEvent(id, kind, Snapshot(read_job(received.job), tuple(map(_line, received.log))))
            case "state":
                return JobEvent(id, kind, decode(data, StateChange, self._url))
            case "progress":
                return JobEvent(id, kind, read_progress(decode(data, ProgressView, self._url)))
            case "log":
                return JobEvent(id, kind, _line(decode(data, ReceivedLine, self._url)))
            case "result":
                return JobEvent(id, kind, read_job(decode(data, ReceivedJob, self._url)))
            case "reset":
                return JobEvent(id, kind, None)
            case _:
                return None

    def cut(self, came: Reply | Lost) -> float:
        """Takes the end of a stream before the job's, or what came instead of one. The seconds to wait before the next.

        Raises:
            JobNotFound, ServerError, …: there is none to come.
        """
        if isinstance(came, Reply):
            if came.status == HTTPStatus.NO_CONTENT:
                self.ended = True
                return 0
            if came.status not in BUSY:
                raise error_of(read_problem(came, self._url), came.status, self._url, self._id)
        now = time.monotonic()
        if not self._failures:
            self._until = now + self._patience
        self._failures += 1
        pause = pause_after(came, self._failures)
        if now + pause <= self._until:
            return pause
        if isinstance(came, Reply):
            raise error_of(read_problem(came, self._url), came.status, self._url, self._id)
        raise nobody(self._url, came)


def _line(received: ReceivedLine) -> LogLine:
    return LogLine(milliseconds(received.at), received.message)
