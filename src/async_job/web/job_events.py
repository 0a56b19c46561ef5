"""What a stream tells of a job, computed from its record alone, so that it can go on wherever it was cut.

An event's id is ``version.lines``: all states up to that version and so many log lines have been told; ``.end`` behind
it: the result as well. Versions are dense, and each is a step of the job's life or a report of progress. So the record
says of every version after the one that was seen what it was, and nothing is told twice or left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from async_job.core.job import FINISHED, Job, LogLine, State
from async_job.core.life import Step, steps_after
from async_job.job_view import JobView, ProgressView, time, view_job, view_progress

ID: Final = re.compile(r"(\d{1,15})\.(\d{1,15})(\.end)?")


class Seen(NamedTuple):
    """How much of a job's life was told."""

    version: int
    lines: int
    ended: bool = False

    @property
    def id(self) -> str:
        return f"{self.version}.{self.lines}{'.end' if self.ended else ''}"


def read_id(text: str) -> Seen | None:
    """What an event's id says; ``None``: it is none."""
    found = ID.fullmatch(text)
    return None if found is None else Seen(int(found[1]), int(found[2]), found[3] is not None)


class StateEvent(Struct, frozen=True):
    version: int
    state: State
    done: bool


class LogEvent(Struct, frozen=True):
    """``number`` counts the lines of the job's log from 1."""

    number: int
    at: str
    message: str


class Snapshot(Struct, frozen=True):
    """All that is known of the job: for those who come new, or come back too late."""

    job: JobView
    log: list[LogEvent]


class Reset(Struct, frozen=True):
    """What came before is no longer all known; the snapshot that follows stands for it."""


class JobEvent(Struct, frozen=True):
    """``event`` is snapshot, state, progress, log, result or reset, and says what ``data`` is: a snapshot, a state
    event, the latest progress, a line of the log, the job at its end, or nothing."""

    id: str
    event: str
    data: Snapshot | StateEvent | ProgressView | LogEvent | JobView | Reset


class JobEvents(Struct, frozen=True):
    """A page: go on with ``?after=next``, unless the job is at its end and all was told."""

    items: list[JobEvent]
    next: str
    ended: bool


class Log(NamedTuple):
    """Lines of a job's log, the first of which has the number ``first``."""

    first: int
    lines: Sequence[LogLine]

    def events(self) -> list[LogEvent]:
        return [LogEvent(number, time(at), text) for number, (at, text) in enumerate(self._pairs(), self.first)]

    def _pairs(self) -> Iterator[tuple[int, str]]:
        return ((line.at, line.message) for line in self.lines)


def snapshot(job: Job, log: Log, root: str, reset: bool = False) -> list[JobEvent]:
    """For somebody who has seen nothing, or (``reset``) something that is too old."""
    seen = Seen(job.version, log.first - 1 + len(log.lines))
    events = [JobEvent("", "reset", Reset())] if reset else []
    events.append(JobEvent(seen.id, "snapshot", Snapshot(view_job(job, root), log.events())))
    return events + _end(job, seen, root)


def news(job: Job, log: Log, seen: Seen, root: str) -> list[JobEvent] | None:
    """What is new to somebody who has seen so much; ``log`` holds the lines after those seen. ``None``: it can no
    longer be said, and a reset is due."""
    steps = steps_after(job.life, seen.version)
    if steps is None or seen.version > job.version or log.first > seen.lines + 1:
        return None
    head, tail = _parted(job, steps)
    events = []
    for step in head:
        seen = Seen(step.version, seen.lines)
        events.append(_state(step, seen))
    for line in log.events():
        seen = Seen(seen.version, line.number)
        events.append(JobEvent(seen.id, "log", line))
    reported = _last_report(job, seen.version, tail)
    for bound, ends in [*((step.version, step) for step in tail), (job.version + 1, None)]:
        if seen.version < reported < bound:
            seen = Seen(reported, seen.lines)
            events += _progress(job, seen)
        if ends is not None:
            seen = Seen(ends.version, seen.lines)
            events.append(_state(ends, seen))
    return events + _end(job, seen, root)


def _parted(job: Job, steps: list[Step]) -> tuple[list[Step], list[Step]]:
    """The steps up to the one that began the present or last run, and those after it: asked to cancel, and the end.
    Progress of the first kind is gone, and what is known of it came before or between the second."""
    at = len(steps)
    while at and (steps[at - 1].again or (job.done and steps[at - 1].version == job.version)):
        at -= 1
    return steps[:at], steps[at:]


def _last_report(job: Job, version: int, tail: list[Step]) -> int:
    """The last version that is no step, and so a report of progress; 0: there is none after ``version``."""
    last = 0
    for bound in [*(step.version for step in tail), job.version + 1]:
        if bound - 1 > version:
            last = bound - 1
        version = bound
    return last


def _progress(job: Job, seen: Seen) -> list[JobEvent]:
    progress = view_progress(job.progress)
    return [] if progress is None else [JobEvent(seen.id, "progress", progress)]


def _state(step: Step, seen: Seen) -> JobEvent:
    return JobEvent(seen.id, "state", StateEvent(step.version, step.state, step.state in FINISHED))


def _end(job: Job, seen: Seen, root: str) -> list[JobEvent]:
    if not job.done or seen.ended:
        return []
    return [JobEvent(Seen(seen.version, seen.lines, ended=True).id, "result", view_job(job, root))]
