"""The arguments of the scripts that take many items, and what their replies mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from async_job.core.job import FINISHED, PRIORITY_STEP, Change, Job, LogLine, State
from async_job.core.life import lived
from async_job.errors import StoreBroken
from async_job.store import codec
from async_job.store.protocol import Answer, Beat, Claimed, ClaimId, IdempotencyKey, Stale, Submitted
from async_job.store.redis import scripts
from async_job.store.redis.keys import Keys
from async_job.store.redis.record import Field, decode, encode, encode_change, encode_delivery, text

FOR_EVER: Final = 100 * 365 * 86_400_000
"""Finished jobs lie in the order of ``kept_until``; what is kept for ever is as if kept for a hundred years."""


class Declared:
    """The keys that a call's items name by their place; each is declared once."""

    def __init__(self, keys: Keys) -> None:
        self._first = len(keys.indexes) + 1
        self._places: dict[str | bytes, int] = {}

    def place(self, key: str | bytes, *behind: str) -> int:
        """The key's place; the keys that belong ``behind`` it have the next ones."""
        place = self._places.setdefault(key, self._first + len(self._places))
        for key_behind in behind:
            self._places.setdefault(key_behind, self._first + len(self._places))
        return place

    def __iter__(self) -> Iterator[Field]:
        return iter(self._places)


Submission = tuple[Job, IdempotencyKey | None]


class JobDraft(NamedTuple):
    job: Job
    fields: list[Field]
    key: str | None
    kept: bytes


def draft_job(submission: Submission) -> JobDraft:
    job, key = submission
    if key is None:
        return JobDraft(job, encode(job), None, b"")
    return JobDraft(job, encode(job), key.name, codec.encode((job.id, key.fingerprint, key.expires_at)))


def submit(keys: Keys, now: int | None, drafts: list[JobDraft]) -> tuple[Field, ...]:
    declared = Declared(keys)
    arguments: list[Field] = []
    for job, fields, key, kept in drafts:
        scheduled = job.state is State.SCHEDULED
        arguments += (
            job.id,
            0 if scheduled else declared.place(keys.queue(job.queue)),
            declared.place(keys.wake(job.queue)),
            _unique(keys, declared, job),
            job.scheduled_for if scheduled else job.rank,
            "" if job.start_by is None or job.attempt else job.start_by,
            f"{job.version} {job.state} {job.reason}",
            0 if key is None else declared.place(keys.idempotency(key)),
            len(fields),
        )
        arguments += fields
        if key is not None:
            arguments.append(kept)
    queues = {draft.job.queue for draft in drafts}
    return scripts.call("submit", keys, now, declared, (len(queues), *queues, len(drafts), *arguments))


def submitted(submissions: list[Submission], answers: list[Any]) -> list[Submitted]:
    return [_submitted(job.id, answer) for (job, _), answer in zip(submissions, answers, strict=True)]


def _submitted(id: str, answer: Any) -> Submitted:
    if isinstance(answer, bytes):
        found = text(answer)
        return Submitted(found, created=found == id)
    first, word = answer
    return Submitted(text(first), created=False, replayed=word == b"replayed", mismatched=word == b"mismatched")


def claimable(keys: Keys, worker: str, queues: Iterable[str]) -> list[Field]:
    """The keys that a claim looks at."""
    declared: list[Field] = [keys.worker(worker), keys.claims(worker), keys.paused, keys.started]
    for queue in dict.fromkeys(queues):
        declared += (keys.queue(queue), keys.wake(queue))
    return declared


def claimed(claim_id: ClaimId, reply: list[Any]) -> Claimed:
    now, due, rows = reply
    jobs = [_claimed_job(claim_id.token, now, *row) for row in rows]
    held = [job for job in jobs if job is not None and job.token == claim_id.token]
    return Claimed(held, int(due) if due != b"" else None)


def _claimed_job(
    token: str, now: int, id: bytes, fields: list[bytes], attempt: int | None = None, version: int | None = None
) -> Job | None:
    if attempt is None:
        return decode(text(id), fields)
    started: dict[str, Any] = {"state": State.RUNNING, "reason": "claimed", "token": token}
    started |= {"attempt": attempt, "version": version, "started_at": now, "updated_at": now}
    job = decode(text(id), fields, **started)
    return job and replace(job, life=lived(job.life, job.version, job.state))


def draft_beat(beat: Beat) -> tuple[Beat, Field, list[Field]]:
    return beat, "" if beat.progress is None else codec.encode(beat.progress), _lines(beat.log)


def report(keys: Keys, now: int | None, drafts: list[tuple[Beat, Field, list[Field]]]) -> tuple[Field, ...]:
    declared = Declared(keys)
    arguments: list[Field] = []
    for beat, progress, lines in drafts:
        log = declared.place(keys.log(beat.id)) if lines else 0
        arguments += (beat.id, beat.token, progress, log, len(lines), *lines)
    return scripts.call("report", keys, now, declared, (len(drafts), *arguments))


def reported(_: list[Beat], answers: list[bytes]) -> list[Answer]:
    return [Answer(answer.decode()) for answer in answers]


def _lines(log: tuple[LogLine, ...]) -> list[Field]:
    return [codec.encode(line) for line in log[-codec.LOG_LINES_KEPT :]]


class ChangeDraft(NamedTuple):
    change: Change
    set_fields: list[Field]
    drop: list[str]
    maybe_drop: list[str]
    lines: list[Field]
    deliveries: list[Field]


def draft_change(change: Change) -> ChangeDraft:
    deliveries = [field for delivery in change.deliveries for field in encode_delivery(delivery)]
    return ChangeDraft(change, *encode_change(change), _lines(change.log), deliveries)


def apply(keys: Keys, now: int | None, drafts: list[ChangeDraft]) -> tuple[Field, ...]:
    declared = Declared(keys)
    arguments: list[Field] = []
    for draft in drafts:
        arguments += _change(keys, declared, draft)
    return scripts.call("apply", keys, now, declared, (len(drafts), *arguments))


def _change(keys: Keys, declared: Declared, draft: ChangeDraft) -> list[Field]:
    change, set_fields, drop, maybe_drop, lines, deliveries = draft
    job, guard = change.job, change.guard
    for_ever = change.state in FINISHED and change.get("kept_until") is None
    guarded = (("u", guard.uncancelled), ("l", guard.lapsed), ("d", guard.deadline))
    flags = (*guarded, ("o", change.outcome), ("e", for_ever))
    start_by = change.get("start_by")
    queue = declared.place(keys.queue(job.queue), keys.wake(job.queue))
    return [
        *(job.id, guard.state, guard.token or "", "".join(letter for letter, is_set in flags if is_set), job.version),
        *(change.state, change.fields["reason"], _score(change), "" if start_by is None else start_by),
        *(queue, _unique(keys, declared, job), declared.place(keys.log(job.id)) if lines else 0),
        *(len(set_fields), len(drop), len(maybe_drop), len(lines), len(change.deliveries)),
        *(*set_fields, *drop, *maybe_drop, *lines, *deliveries),
    ]


def _score(change: Change) -> Field:
    """The place in the index of the state after the change; '' where only the store knows it."""
    if change.state in FINISHED:
        kept_until: int | None = change.get("kept_until")
        return (change.get("finished_at") or 0) + FOR_EVER if kept_until is None else kept_until
    ready: int | None = change.fields.get("scheduled_for")
    if ready is None:
        return ""
    return ready - change.job.priority * PRIORITY_STEP if change.state is State.QUEUED else ready


def _unique(keys: Keys, declared: Declared, job: Job) -> int:
    return 0 if job.unique_key is None else declared.place(keys.unique(job.type, job.unique_key))


def applied(changes: list[Change], answers: list[Any]) -> list[Job | Stale]:
    return [_applied(change, answer) for change, answer in zip(changes, answers, strict=True)]


def _applied(change: Change, answer: Any) -> Job | Stale:
    if isinstance(answer, int):
        life = lived(change.job.life, answer, change.state)
        logged = change.job.logged + min(len(change.log), codec.LOG_LINES_KEPT)
        return replace(change.job, **change.fields, version=answer, life=life, logged=logged)
    word, *rest = answer
    if word == b"gone":
        return Stale(None)
    job = decode(change.job.id, rest[0])
    if word == b"stale":
        return Stale(job, text(rest[1]) or None)
    if job is None:
        raise StoreBroken(f"job {change.job.id} lost its fields in the middle of a change")
    return job
