"""Writes, in the writer's thread. Each method is one request of a group, inside the group's transaction, and is named
for the store method that it serves; one that refuses does so before it writes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import apsw
from msgspec.structs import replace

from async_job.clock import Clock
from async_job.core.job import Change, Job, LogLine, State
from async_job.core.life import LETTERS, lived
from async_job.errors import LeaseOver, NotEnrolled, StaleClaim, StoreRefused
from async_job.store import codec
from async_job.store.group_commit import Request
from async_job.store.protocol import (
    BATCH,
    CLAIMS_IN_FLIGHT,
    Answer,
    Beat,
    Claimed,
    ClaimId,
    IdempotencyKey,
    Stale,
    Submitted,
    Worker,
)
from async_job.store.readable import Readable
from async_job.store.sqlite import statements
from async_job.store.sqlite.administration import AdministrationWriter
from async_job.store.sqlite.announce import Announcer
from async_job.store.sqlite.connection import connect_writer, refuse_unfit, translated
from async_job.store.sqlite.migrate import migrate
from async_job.store.sqlite.outbox import OutboxWriter
from async_job.store.sqlite.reader import CHANGES_KEPT, FORGET_LAPSED, storable
from async_job.store.sqlite.row import job_of, row_of, values_of
from async_job.store.sqlite.statements import SQL
from async_job.store.sqlite.transaction import Transactions
from async_job.store.sqlite.turnstile import Turnstile

INSERTED: Final = 16
"""So many jobs go into one statement: while it runs, the event loop does, and each statement hands over twice."""
TRIM_EACH: Final = 1_000
"""After about so many items the change log is cut to its newest entries."""


class Writer:
    """``changed`` and ``ready`` say what the last group did: jobs came to other states; some may be claimed."""

    def __init__(
        self, path: Path, clock: Clock, namespace: str, announcer: Announcer, log_limits: codec.LogLimits
    ) -> None:
        self._path = path
        self._clock = clock
        self._announcer = announcer
        self._log_limits = log_limits
        self._connection, self._turnstile = _open(path, namespace)
        self._execute = self._connection.execute
        self._administration = AdministrationWriter(self._connection)
        self._outbox = OutboxWriter(self._connection, clock)
        self._transactions = Transactions(
            self._connection,
            path,
            self._turnstile,
            {
                **self._administration.methods,
                **self._outbox.methods,
                "resume": self.resume,
                "submit": self.submit,
                "enroll": self.enroll,
                "extend": self.extend,
                "retire": self.retire,
                "claim": self.claim,
                "report": self.report,
                "apply": self.apply,
                "delete": self.delete,
                "forget": self.forget,
                "purge": self.purge,
                "health": self.health,
            },
        )
        # Claims that found nothing write nothing, so that an idle worker costs no trip to the disk; the last such
        # number of each enrolment is known here only.
        self._idle_claims: dict[int, int] = {}
        self._readable = Readable()
        self._entries = 0
        self.changed = False
        self.ready = False

    def execute(self, group: Sequence[Request]) -> list[Any]:
        self.changed = self.ready = False
        return self._transactions.execute(group)

    @property
    def has_more_to_do(self) -> bool:
        return self.changed or self.ready or self._transactions.checkpoint_due

    def do_more(self) -> None:
        """What need not keep the callers waiting: other processes hear of it, and the log is moved into the file."""
        if self.changed or self.ready:
            self._announcer.tell(b"ready" if self.ready else b"changed")
        if self._transactions.checkpoint_due:
            self._transactions.checkpoint()

    def close(self) -> None:
        self._connection.close()
        self._turnstile.close()

    def resume(self, queue: str) -> None:
        self._administration.resume(queue)
        self.ready = True

    def submit(self, submits: Sequence[tuple[Job, IdempotencyKey | None]]) -> list[Submitted]:
        jobs = [job for job, _ in submits]
        if any(key is not None for _, key in submits):
            # One after the other, because each looks for the keys of those before it.
            return [self._submit_once(job, key) for job, key in submits]
        inserted = self._insert(jobs)
        return [Submitted(job.id, created=True) if job.id in inserted else self._not_inserted(job) for job in jobs]

    def _submit_once(self, job: Job, key: IdempotencyKey | None) -> Submitted:
        known = None if key is None else self._execute(SQL["submit.key"], (key.name, self._clock.now())).get
        if key is not None and known is not None and not self._exists(job.id):
            fingerprint, id = known
            same = fingerprint == key.fingerprint
            return Submitted(id, created=False, replayed=same, mismatched=not same)
        if not self._insert([job]):
            return self._not_inserted(job)
        if key is not None:
            self._execute(SQL["submit.keep_key"], (key.name, key.fingerprint, key.expires_at, job.id))
        return Submitted(job.id, created=True)

    def _insert(self, jobs: Sequence[Job]) -> set[str]:
        """The ids of those that were not there, and whose unique keys are free."""
        inserted: set[str] = set()
        for start in range(0, len(jobs), INSERTED):
            some = jobs[start : start + INSERTED]
            values = [value for job in some for value in row_of(job)]
            inserted.update(id for (id,) in self._execute(statements.submit(len(some)), values))
        if inserted:
            self.ready = True
            self._log_changes(len(inserted))
        return inserted

    def _exists(self, id: str) -> bool:
        return self._execute(SQL["submit.exists"], (id,)).get is not None

    def _not_inserted(self, job: Job) -> Submitted:
        if self._exists(job.id):
            return Submitted(job.id, created=True)
        return Submitted(self._holder(job), created=False)

    def _holder(self, job: Job) -> str:
        """The live job that has the unique key of this one."""
        return str(self._execute(SQL["submit.holder"], (job.type, job.unique_key)).get)

    def _log_changes(self, n: int) -> None:
        """The entries themselves are written by triggers."""
        self.changed = True
        self._entries += n
        if self._entries >= TRIM_EACH:
            self._execute(SQL["apply.trim"], (CHANGES_KEPT,))
            self._entries = 0

    def enroll(self, argument: tuple[Worker, int]) -> None:
        worker, lease = argument
        known = self._execute(
            SQL["enroll.enroll"],
            (
                worker.id,
                worker.host,
                worker.pid,
                worker.started_at,
                codec.encode(worker.queues).decode(),
                worker.concurrency,
                worker.version,
                self._clock.now() + lease,
            ),
        ).get
        if known is None:
            raise NotEnrolled(f"worker {worker.id} was retired")

    def extend(self, argument: tuple[Sequence[str], int]) -> list[bool]:
        workers, lease = argument
        lease_end = self._clock.now() + lease
        return [self._execute(SQL["extend.extend"], (lease_end, id)).get is not None for id in workers]

    def retire(self, worker: str) -> list[Job]:
        self._execute(SQL["retire.bar"], (worker,))
        return self._readable.all(job_of, self._execute(SQL["retire.held"], (worker,)))

    def claim(self, argument: tuple[ClaimId, Sequence[str], int]) -> Claimed:
        claim_id, queues, limit = argument
        enrolment, lease_end, last = self._execute(SQL["claim.worker"], (claim_id.worker,)).get or (0, 0, 0)
        last = max(last, self._idle_claims.get(enrolment, 0))
        if not lease_end:
            raise NotEnrolled(f"worker {claim_id.worker} is retired or was never enrolled")
        if claim_id.n <= last - CLAIMS_IN_FLIGHT:
            raise StaleClaim(f"claim {claim_id.n} of worker {claim_id.worker}: already at {last}")
        if claim_id.n <= last:
            return self._claimed_before(claim_id, queues)
        now = self._clock.now()
        if lease_end <= now:
            raise LeaseOver(f"the lease of worker {claim_id.worker} is over")
        promoted, next_due = self._promote(now)
        jobs, started = self._start(claim_id.token, queues, limit, now)
        if promoted or started:
            self._execute(SQL["claim.remember"], (claim_id.n, enrolment))
            self._log_changes(promoted + started)
            self.ready = self.ready or promoted > started
        else:
            self._idle_claims[enrolment] = claim_id.n
        return Claimed(jobs, next_due)

    def _claimed_before(self, claim_id: ClaimId, queues: Sequence[str]) -> Claimed:
        rows = self._execute(SQL["claim.again"], (claim_id.worker, claim_id.token))
        places = {queue: place for place, queue in enumerate(queues)}
        jobs = self._readable.all(job_of, rows)
        jobs.sort(key=lambda job: (places.get(job.queue, len(places)), job.rank, job.id))
        return Claimed(jobs, self._execute(SQL["claim.next_due"]).get)

    def _promote(self, now: int) -> tuple[int, int | None]:
        """How many came to be queued, and when the next is due."""
        next_due = self._execute(SQL["claim.next_due"]).get
        if next_due is None or next_due > now:
            return 0, next_due
        self._execute(SQL["claim.promote"], {"now": now, "limit": BATCH})
        return self._connection.changes(), self._execute(SQL["claim.next_due"]).get

    def _start(self, token: str, queues: Sequence[str], limit: int, now: int) -> tuple[list[Job], int]:
        """The jobs that run from now on, and how many they are, with those that cannot be read."""
        jobs: list[Job] = []
        started = 0
        for queue in queues:
            if started >= limit:
                break
            values = {"token": token, "queue": queue, "limit": limit - started, "now": now}
            rows = self._execute(SQL["claim.start"], values).fetchall()
            if rows:
                self._execute(SQL["claim.count"], (queue, len(rows)))
            jobs += sorted(self._readable.all(job_of, rows), key=lambda job: (job.rank, job.id))
            started += len(rows)
        return jobs, started

    def report(self, beats: Sequence[Beat]) -> list[Answer]:
        return [self._report(beat) for beat in beats]

    def _report(self, beat: Beat) -> Answer:
        running = self._execute(SQL["report.running"], (beat.id, beat.token)).fetchall()
        if not running:
            return Answer.LOST
        if beat.progress is not None:
            self._execute(SQL["report.progress"], (codec.encode(beat.progress).decode(), beat.id))
        if beat.log:
            logged = self._execute(SQL["report.logged"], (len(beat.log), beat.id)).get
            self._append_log(beat.id, beat.log, logged)
        ((cancel_requested_at,),) = running
        return Answer.OK if cancel_requested_at is None else Answer.CANCEL

    def _append_log(self, id: str, said: Sequence[LogLine], logged: int) -> None:
        """``logged``: how many lines the job's log ever got, with these."""
        lines = said[-self._log_limits.lines :]
        rows = [(id, n, line.at, line.message) for n, line in enumerate(lines, logged - len(lines) + 1)]
        self._connection.executemany(SQL["report.line"], rows)
        limits = {"id": id, "lines": self._log_limits.lines, "bytes": self._log_limits.bytes}
        if self._execute(SQL["report.overfull"], limits).get:
            self._execute(SQL["report.trim"], limits)

    def apply(self, changes: Sequence[Change]) -> list[Job | Stale]:
        return [self._apply(change) for change in changes]

    def _apply(self, change: Change) -> Job | Stale:
        guard, lines = change.guard, change.log
        values = values_of(change.fields) | {
            "id": change.job.id,
            "guard_state": guard.state,
            "guard_token": guard.token,
            "guard_uncancelled": guard.uncancelled,
            "guard_lapsed": guard.lapsed,
            "guard_deadline": guard.deadline,
            "letter": LETTERS[change.state],
            "lines": len(lines),
            "now": self._clock.now(),
        }
        try:
            written = self._execute(statements.apply(tuple(change.fields)), values).get
        except apsw.ConstraintError:
            return self._key_held(change)
        if written is None:
            return self._not_applied(change)
        version, logged = written
        if lines:
            self._append_log(change.job.id, lines, logged)
        if change.deliveries:
            self._outbox.put(change.deliveries)
        self._log_changes(1)
        self.ready = self.ready or change.state in (State.QUEUED, State.SCHEDULED)
        if version == change.job.version + 1:
            life = lived(change.job.life, version, change.state)
            return replace(change.job, **change.fields, version=version, life=life, logged=logged)
        after = self._get(change.job.id)
        assert after is not None
        return after

    def _key_held(self, change: Change) -> Stale:
        job = self._get(change.job.id)
        assert job is not None
        return Stale(job, self._holder(job))

    def _not_applied(self, change: Change) -> Job | Stale:
        job = self._get(change.job.id)
        if job is None:
            return Stale(None)
        told_before = change.outcome and job.token == change.guard.token and job.state is not State.RUNNING
        return job if told_before else Stale(job)

    def _get(self, id: str) -> Job | None:
        rows = self._execute(SQL["get.get"], (id,)).fetchall()
        return job_of(rows[0]) if rows else None

    def forget(self, _: None) -> None:
        self._execute(SQL["rescuable.forget"], {"long_ago": self._clock.now() - FORGET_LAPSED})

    def delete(self, ids: Sequence[str]) -> list[Job | None]:
        rows = self._connection.executemany(SQL["delete.delete"], [(id,) for id in ids if storable(id)])
        deleted = {id for (id,) in rows}
        return [None if id in deleted or not storable(id) else self._get(id) for id in ids]

    def purge(self, limit: int) -> tuple[int, int]:
        """How many jobs were removed, and how many idempotency keys."""
        now = self._clock.now()
        jobs = self._execute(SQL["purge.purge"], (now, limit)).fetchall()
        keys = self._execute(SQL["purge.keys"], (now, BATCH)).fetchall()
        return len(jobs), len(keys)

    def health(self, now: int) -> None:
        self._execute(SQL["health.write"], {"now": str(now)})


def _open(path: Path, namespace: str) -> tuple[apsw.Connection, Turnstile]:
    """The connection to a file that is fit and has this version's schema, and the turnstile before it."""
    refuse_unfit(path)
    try:
        turnstile = Turnstile(path)
    except OSError as error:
        raise StoreRefused(f"no file can be made beside {path}: {error.strerror}; choose another folder") from error
    with ExitStack() as undo:
        undo.callback(turnstile.close)
        try:
            with turnstile.turn():
                connection = connect_writer(path)
                undo.callback(connection.close)
                migrate(connection, path, namespace)
        except apsw.Error as error:
            raise translated(error, path) from error
        undo.pop_all()
    return connection, turnstile
