"""The arguments of the scripts that take many items, and what their replies mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from async_job.core.job import FINISHED, PRIORITY_STEP, Change, Job, LogLine, State
from async_job.core.life import lived
from async_job.errors import Unreadable
from async_job.store import codec
from async_job.store.protocol import Answer, Beat, Claimed, ClaimId, IdempotencyKey, Stale, Submitted
from async_job.store.readable import Readable
from async_job.store.redis.group import Draft
from async_job.store.redis.keys import Keys
from async_job.store.redis.record import Field, decode, encode, encode_change, encode_delivery, text

FOR_EVER: Final = 100 * 365 * 86_400_000
"""Finished jobs lie in the order of ``kept_until``; what is kept for ever is as if kept for a hundred years."""
WRITTEN: Final = 1
"""What scripts answer for an item that is written as it was given."""


class Declared:
    """The keys that a call's items name by their place; each is declared once."""

    def __init__(self, keys: Keys, log_limits: codec.LogLimits) -> None:
        self.keys = keys
        self._log_limits = log_limits
        self._first = len(keys.indexes) + 1
        self._places: dict[Field, int] = {}
        self._queues: dict[str, int] = {}

    def place(self, key: Field) -> int:
        return self._places.setdefault(key, self._first + len(self._places))

    def queue(self, name: str) -> int:
        """The place of the queue; its wake list has the next one."""
        if name not in self._queues:
            self._queues[name] = self.place(self.keys.queue(name))
            self.place(self.keys.wake(name))
        return self._queues[name]

    def unique(self, job: Job) -> int:
        return 0 if job.unique_key is None else self.place(self.keys.unique(job.type, job.unique_key))

    def log(self, id: str, log: tuple[LogLine, ...]) -> list[Field]:
        """What ``append_log`` takes."""
        if not log:
            return [0, 0]
        lines = log[-self._log_limits.lines :]
        return [
            self.place(self.keys.log(id)),
            len(lines),
            len(log),
            sum(codec.log_bytes(line) for line in lines),
            self._log_limits.lines,
            self._log_limits.bytes,
            *map(codec.encode, lines),
        ]

    def __iter__(self) -> Iterator[Field]:
        return iter(self._places)


Submission = tuple[Job, IdempotencyKey | None]


def draft_submission(declared: Declared, submission: Submission) -> Draft:
    job, key = submission
    fields, more = encode(job), _more_of_submission(declared, job, key)
    return [
        job.id,
        job.state,
        declared.queue(job.queue),
        job.scheduled_for if job.state is State.SCHEDULED else job.rank,
        job.type,
        job.created_at,
        len(fields),
        len(more),
        *fields,
        *more,
    ]


def _more_of_submission(declared: Declared, job: Job, key: IdempotencyKey | None) -> Sequence[Field]:
    """What few jobs have."""
    if job.start_by is None and job.unique_key is None and key is None:
        return ()
    more: list[Field] = ["" if job.start_by is None else job.start_by, declared.unique(job)]
    if key is None:
        return [*more, 0]
    place = declared.place(declared.keys.idempotency(key.name))
    return [*more, place, codec.encode((job.id, key.fingerprint, key.expires_at))]


def submitted(submission: Submission, answer: Any) -> Submitted:
    if answer == WRITTEN:
        return Submitted(submission[0].id, created=True)
    if isinstance(answer, bytes):
        return Submitted(text(answer), created=False)
    first, word = answer
    return Submitted(text(first), created=False, replayed=word == b"replayed", mismatched=word == b"mismatched")


def claimable(keys: Keys, worker: str, queues: Iterable[str]) -> list[Field]:
    """The keys that a claim looks at."""
    declared: list[Field] = [keys.worker(worker), keys.claims(worker), keys.paused, keys.started]
    for queue in dict.fromkeys(queues):
        declared += (keys.queue(queue), keys.wake(queue))
    return declared


def claimed(claim_id: ClaimId, readable: Readable, reply: list[Any]) -> Claimed:
    now, due, rows = reply
    token = claim_id.token
    jobs = readable.all(lambda row: _started(token, now, *row) if len(row) > 2 else decode(text(row[0]), row[1]), rows)
    return Claimed([job for job in jobs if job.token == token], int(due) if due != b"" else None)


def _started(
    token: str, now: int, id: bytes, fields: list[bytes], attempt: bytes, version: bytes, life: bytes
) -> Job | None:
    return decode(
        text(id),
        fields,
        state=State.RUNNING,
        reason="claimed",
        token=token,
        attempt=int(attempt),
        version=int(version),
        life=text(life),
        started_at=now,
        updated_at=now,
    )


def draft_beat(declared: Declared, beat: Beat) -> Draft:
    progress: Field = "" if beat.progress is None else codec.encode(beat.progress)
    return [beat.id, beat.token, progress, *declared.log(beat.id, beat.log)]


def reported(_: Beat, answer: bytes) -> Answer:
    return Answer(answer.decode())


def draft_change(declared: Declared, change: Change) -> Draft:
    job, state = change.job, change.state
    version = job.version + 1
    set_fields, drop, maybe_drop = encode_change(change)
    more = _more_of_change(declared, change, drop)
    return [
        job.id,
        change.guard.state,
        change.guard.token or "",
        _flags(change, state),
        version,
        lived(job.life, version, state),
        state,
        change.fields["reason"],
        _score(change, state),
        declared.queue(job.queue),
        " ".join(maybe_drop),
        len(set_fields),
        len(more),
        *set_fields,
        *more,
    ]


def _flags(change: Change, state: State) -> str:
    guard = change.guard
    flags = "o" if change.outcome else ""
    if guard.uncancelled:
        flags += "u"
    if guard.lapsed:
        flags += "l"
    if guard.deadline:
        flags += "d"
    if state in FINISHED and change.get("kept_until") is None:
        flags += "e"
    return flags


def _more_of_change(declared: Declared, change: Change, drop: list[str]) -> list[Field]:
    """What few changes have."""
    job, start_by = change.job, change.get("start_by")
    if not (drop or change.log or change.deliveries) and start_by is None and job.unique_key is None:
        return []
    more: list[Field] = ["" if start_by is None else start_by, declared.unique(job), " ".join(drop)]
    more += declared.log(job.id, change.log)
    for delivery in change.deliveries:
        more += encode_delivery(delivery)
    return more


def _score(change: Change, state: State) -> Field:
    """The place in the index of the state after the change; '' where only the store knows it."""
    if state in FINISHED:
        kept_until: int | None = change.get("kept_until")
        return (change.get("finished_at") or 0) + FOR_EVER if kept_until is None else kept_until
    ready: int | None = change.fields.get("scheduled_for")
    if ready is None:
        return ""
    return ready - change.job.priority * PRIORITY_STEP if state is State.QUEUED else ready


def applied(change: Change, answer: Any) -> Job | Stale:
    job = change.job
    if answer == WRITTEN:
        version = job.version + 1
        life, logged = lived(job.life, version, change.state), job.logged + len(change.log)
        return replace(job, **change.fields, version=version, life=life, logged=logged)
    word, *rest = answer
    if word == b"gone":
        return Stale(None)
    stored = decode(job.id, rest[0])
    if word == b"stale":
        return Stale(stored, text(rest[1]) or None)
    if stored is None:
        raise Unreadable(f"job {job.id} lost its fields in the middle of a change")
    return stored


METHODS: Final[dict[str, tuple[Callable[[Declared, Any], Draft], Callable[[Any, Any], Any]]]] = {
    "report": (draft_beat, reported),
    "apply": (draft_change, applied),
    "submit": (draft_submission, submitted),
}
"""The methods that take many items, in the order in which they are sent: what makes an item's arguments, and what reads
its answer. What a run says is told before its outcome, after which nothing more is taken from it."""
