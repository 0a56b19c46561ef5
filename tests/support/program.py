"""Random programs on a store, each step also done by the oracle: the answers and all jobs have to be the same.

The oracle is the memory store, on the same clock. The store under test is used through two objects by turns, as two
processes would. What the protocol leaves open is compared as far as it is promised, and no further.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from async_job.clock import ManualClock
from async_job.core.delivery import Delivery, after_try
from async_job.core.job import FINISHED, Change, ErrorKind, Job, LogLine, Progress, State
from async_job.core.lifecycle import (
    CancelRequested,
    Crashed,
    Event,
    Failed,
    LeaseLapsed,
    NotKnown,
    NotStarted,
    Overdue,
    Released,
    Retention,
    RetryRequested,
    Stopped,
    Succeeded,
    decide,
)
from async_job.errors import Conflict, WorkerError
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import (
    Beat,
    Changes,
    Claimed,
    ClaimId,
    Entry,
    IdempotencyKey,
    Index,
    Place,
    Stale,
    Store,
)
from support.jobs import HOUR, LEASE, error, make_job, make_worker
from support.stores import Backend

WORKERS = ("w1", "w2", "w3")
QUEUES = ("a", "b:ä")
LINES = (LogLine(1, "one"), LogLine(2, "ä\x00\n"))

EVENTS: dict[str, Callable[[str], Event]] = {
    "succeeded": lambda token: Succeeded(token, b'{"ok":true}'),
    "succeeded, with more": lambda token: Succeeded(token, b"1", Progress(2, 2, "ä"), LINES),
    "failed": lambda token: Failed(token, error(), log=LINES[:1]),
    "failed, again at once": lambda token: Failed(token, error(traceback="Traceback …"), delay=0),
    "failed for good": lambda token: Failed(token, error(ErrorKind.INVALID_RESULT, retryable=False), isolate=True),
    "timed out": lambda token: Failed(
        token, error(ErrorKind.TIMEOUT), delay=60_000, isolate=True, progress=Progress(1)
    ),
    "stopped": lambda token: Stopped(token, Progress(1, 3), LINES),
    "released": lambda token: Released(token),
    "not started": lambda token: NotStarted(token),
    "released for a neighbour": lambda token: Released(token, "neighbour", Progress(1), LINES),
    "not known": lambda token: NotKnown(token),
    "crashed": lambda token: Crashed(token, "signal 9", alone=True),
    "crashed with others": lambda token: Crashed(token, "signal 9", alone=False),
    "lease lapsed": lambda token: LeaseLapsed(token),
    "cancel": lambda token: CancelRequested(),
    "retry": lambda token: RetryRequested(),
    "overdue": lambda token: Overdue(),
}
RETENTIONS = (Retention(), Retention(succeeded=0, cancelled=0, expired=0, failed=0), Retention(succeeded=500, failed=1))

picks = st.integers(0, 30)
delays = st.sampled_from((0, 0, 0, 1, 500, 1_000, 60_000, -1_000))
submissions = st.fixed_dictionaries(
    {
        "delay": delays,
        "queue": st.sampled_from(QUEUES),
        "priority": st.sampled_from((0, 0, 0, 1, -1, 9, -9)),
        "type": st.sampled_from(("t", "t:u")),
        "unique_key": st.sampled_from((None, None, "k", "k:ä", "")),
        "start_in": st.sampled_from((None, None, 0, 500, 1_000, HOUR)),
        "max_attempts": st.integers(1, 3),
        "max_crashes": st.integers(1, 3),
        "labels": st.sampled_from(({}, {"x": "y", "ä": "\x00"})),
        "owner": st.sampled_from((None, "o:ä")),
        "webhook": st.sampled_from((None, "hook", "https://example.com/ä\x00")),
    }
)
# Name, fingerprint, and how long it lasts.
KEYS = (("i", "1", HOUR), ("i", "1", HOUR), ("i", "2", 500), ("j:ä", "1", 1_000), ("j:ä", "1", 0))
keys = st.sampled_from((None, None, None, None, *KEYS))
requests = st.lists(st.tuples(submissions, keys), min_size=1, max_size=4)
Request = tuple[dict[str, Any], tuple[str, str, int] | None]
INDEXES = (*(Index(State.QUEUED, queue) for queue in QUEUES), *map(Index, sorted(set(State) - {State.QUEUED})))


class Program(RuleBasedStateMachine):
    """A Hypothesis state machine; ``new_backend`` is set by the test that runs it."""

    new_backend: ClassVar[Callable[[ManualClock], Backend]]
    begun: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).begun += 1
        self.clock = ManualClock()
        self.oracle: Store = MemoryStore(self.clock)
        self.runner = asyncio.Runner()
        backend = type(self).new_backend(self.clock)
        self.stores = [backend.store(), backend.store()]
        self.turn = 0
        self.ids: list[str] = []
        self.jobs: dict[str, Job] = {}
        self.sent: list[tuple[Job, IdempotencyKey | None]] = []
        self.seen: list[Job] = []
        self.told: list[Change] = []
        self.late: list[Change] = []
        self.processes: dict[str, int] = dict.fromkeys((*WORKERS, "nobody"), 0)
        self.claims: dict[str, int] = dict.fromkeys((*WORKERS, "nobody"), 0)
        self.leases: dict[str, int] = {}
        self.places: dict[Index, tuple[Place | None, Place | None]] = {}
        self.taken: list[Delivery] = []
        self.run(self._open())

    def run(self, step: Awaitable[Any]) -> Any:
        async def done() -> Any:
            return await step

        return self.runner.run(done())

    async def _open(self) -> None:
        for store in self.stores:
            await store.open()
        self.cursors = [(await store.changes(None, 0)).cursor for store in (self.oracle, self.stores[0])]

    def both(self, call: Callable[[Store], Awaitable[Any]], through: int | None = None) -> tuple[Any, Any]:
        """What the oracle and the store answer; a refusal is an answer too."""
        self.turn = 1 - self.turn if through is None else through

        async def answer(store: Store) -> Any:
            try:
                return await call(store)
            except WorkerError as refusal:
                return type(refusal)

        return self.run(answer(self.oracle)), self.run(answer(self.stores[self.turn]))

    def same(self, call: Callable[[Store], Awaitable[Any]]) -> Any:
        expected, found = self.both(call)
        assert found == expected, f"the store answers {found}, the oracle {expected}"
        return expected

    def pick(self, number: int, jobs: Iterable[Job]) -> Job:
        """One of the jobs, rather a running one."""
        jobs = list(jobs)
        running = [job for job in jobs if job.state is State.RUNNING]
        if running and number % 4:
            jobs = running
        return jobs[number % len(jobs)]

    def worker(self, name: str) -> str:
        """The id of the worker's present process."""
        return f"{name}.{self.processes[name]}"

    @initialize(given=requests)
    def begin(self, given: list[Request]) -> None:
        """Most programs would take long to come to a running job: each begins with some."""
        for name in WORKERS[:2]:
            self.enroll(name, LEASE)
        self.submit(given, None)
        self.claim(WORKERS[0], 1, QUEUES, 3)

    @rule(given=requests, again=st.none() | picks)
    def submit(self, given: list[Request], again: int | None) -> None:
        now = self.clock.now()
        sent: list[tuple[Job, IdempotencyKey | None]] = []
        for fields, key in given:
            start_in, rest = fields["start_in"], {name: value for name, value in fields.items() if name != "start_in"}
            # Ids fall as well as rise, so that the order by id is not the order of the submits.
            id = f"{len(self.ids) * 7 % 100:02}-{len(self.ids)}"
            job = make_job(now, id, start_by=None if start_in is None else now + start_in, **rest)
            sent.append((job, None if key is None else IdempotencyKey(key[0], key[1], now + key[2])))
            self.ids.append(id)
        self.sent += sent
        if again is not None:
            sent.append(self.sent[again % len(self.sent)])
        self.send(sent)

    def send(self, sent: list[tuple[Job, IdempotencyKey | None]]) -> None:
        jobs, keys = [job for job, _ in sent], [key for _, key in sent]
        self.same(lambda store: store.submit(jobs, keys if any(keys) else ()))

    @rule(
        name=st.sampled_from(WORKERS),
        action=st.sampled_from(("enroll", "enroll", "extend", "extend", "retire", "restart")),
        lease=st.sampled_from((LEASE, LEASE, 1_000, 0)),
    )
    def lease(self, name: str, action: str, lease: int) -> None:
        if action == "restart":
            # The new process has a new id; what the old one held waits for a rescue.
            self.processes[name] += 1
            self.claims[name] = 0
        if action == "extend":
            self.extend([name, "nobody", name], lease)
        elif action == "retire":
            self.retire(self.worker(name))
        else:
            self.enroll(name, lease)

    def enroll(self, name: str, lease: int) -> None:
        worker = self.worker(name)
        if self.same(lambda store: store.enroll(make_worker(worker), lease)) is None:
            self.leases[worker] = self.clock.now() + lease

    def extend(self, names: list[str], lease: int) -> None:
        workers = [self.worker(name) for name in names]
        for worker, held in zip(workers, self.same(lambda store: store.extend(workers, lease)), strict=True):
            if held:
                self.leases[worker] = self.clock.now() + lease

    def retire(self, worker: str) -> None:
        expected, found = self.both(lambda store: store.retire(worker))
        assert by_id(found) == by_id(expected)
        self.leases[worker] = 0

    @rule(
        name=st.sampled_from((*WORKERS, *WORKERS, "nobody")),
        step=st.sampled_from((1, 1, 1, 1, 0, -1, -2, 5)),
        queues=st.sampled_from((QUEUES, QUEUES, QUEUES[::-1], ("a",), ("b:ä", "c", "b:ä"), ())),
        limit=st.sampled_from((9, 9, 3, 2, 1, 0)),
        renewed=st.booleans(),
    )
    def claim(self, name: str, step: int, queues: tuple[str, ...], limit: int, renewed: bool = False) -> None:
        if renewed:
            self.extend([name], LEASE)
        n = max(1, self.claims[name] + step)
        claim_id = ClaimId(self.worker(name), n)
        # A worker's claims go through one object.
        through = int(name == WORKERS[0])
        expected, found = self.both(lambda store: store.claim(claim_id, queues, limit), through)
        if not isinstance(expected, Claimed):
            assert found is expected, f"the store answers {found}, the oracle {expected}"
            return
        again = n <= self.claims[name]
        self.claims[name] = max(n, self.claims[name])
        assert by_id(found.jobs) == by_id(expected.jobs) if again else found.jobs == expected.jobs
        self.look()
        due = [job for job in self.jobs.values() if job.state is State.SCHEDULED]
        ours = [job.scheduled_for for job in due if job.queue in queues]
        assert found.next_due in (min((job.scheduled_for for job in due), default=None), min(ours, default=None))

    @precondition(lambda self: self.jobs)
    @rule(
        beats=st.lists(
            st.tuples(
                picks,
                st.sampled_from((None, None, "", "w1.0:1")),
                st.sampled_from((None, Progress(1), Progress(2, 4, "ä\x00"))),
                st.sampled_from(((), LINES, LINES[:1])),
            ),
            max_size=4,
        )
    )
    def report(self, beats: list[tuple[int, str | None, Progress | None, tuple[LogLine, ...]]]) -> None:
        told = []
        for number, token, progress, log in beats:
            job = self.pick(number, self.jobs.values())
            told.append(Beat(job.id, (job.token or "") if token is None else token, progress, log))
        self.same(lambda store: store.report(told))

    @precondition(lambda self: self.jobs)
    @rule(
        steps=st.lists(
            st.tuples(picks, st.sampled_from(sorted(EVENTS)), st.sampled_from(RETENTIONS)), min_size=1, max_size=4
        ),
        what=st.sampled_from(("jobs", "jobs", "one job", "jobs as seen before")),
        late=st.sampled_from((False, False, True)),
    )
    def settle(self, steps: list[tuple[int, str, Retention]], what: str, late: bool) -> None:
        """Decides on jobs as they are or as they were seen before, and applies it now or later."""
        jobs = self.seen if what == "jobs as seen before" and self.seen else list(self.jobs.values())
        if what == "one job":
            jobs = [self.pick(steps[0][0], jobs)]
        changes = []
        for number, event, retention in steps:
            job = self.pick(number, jobs)
            changes += self.decided(job, EVENTS[event](job.token or ""), retention)
        if late:
            self.late = [*self.late, *changes][-6:]
        else:
            self.apply(changes)

    @precondition(lambda self: self.late)
    @rule()
    def arrive(self) -> None:
        """What was decided before is only now applied."""
        changes, self.late = self.late, []
        self.apply(changes)

    @precondition(lambda self: any(job.state is State.RUNNING for job in self.jobs.values()))
    @rule(
        number=picks,
        event=st.sampled_from(sorted(EVENTS)),
        by=st.sampled_from(("a cancel", "another run", "a renewal")),
    )
    def overtake(self, number: int, event: str, by: str) -> None:
        """Something happens between a decision on a running job and its writing: what each guard is there for."""
        running = [job for job in self.jobs.values() if job.state is State.RUNNING]
        job = running[number % len(running)]
        token = job.token or ""
        if by == "a cancel":
            changes = self.decided(job, EVENTS[event](token))
            self.apply(self.decided(job, CancelRequested()))
        elif by == "another run":
            changes = self.decided(job, EVENTS[event](token))
            self.apply(self.decided(job, Released(token)))
            self.claim(WORKERS[1], 1, QUEUES, 9, renewed=True)
        else:
            changes = self.decided(job, LeaseLapsed(token))
            self.extend(list(WORKERS), LEASE)
        self.look()
        self.apply(changes)

    @precondition(lambda self: self.told)
    @rule(numbers=st.lists(picks, min_size=1, max_size=3))
    def settle_again(self, numbers: list[int]) -> None:
        """A lost reply: changes that were sent before are sent again."""
        self.apply([self.told[-1 - number % len(self.told)] for number in numbers])

    def decided(self, job: Job, event: Event, retention: Retention = RETENTIONS[0]) -> list[Change]:
        try:
            change = decide(job, event, self.clock.now(), retention)
        except Conflict:
            return []
        return [change] if change else []

    def apply(self, changes: list[Change]) -> list[Job | Stale]:
        self.told = [*self.told, *changes][-10:]
        expected, found = self.both(lambda store: store.apply(changes))
        # Lines reported since the decision may be missing in what an answer counts.
        assert list(map(uncounted, found)) == list(map(uncounted, expected))
        answers: list[Job | Stale] = expected
        return answers

    @rule(step=st.sampled_from((1, 499, 500, 1_000, 1_000, 2_000, LEASE, 60_000, HOUR, 8 * 24 * HOUR, -500)))
    def advance(self, step: int) -> None:
        self.clock.advance(step / 1000)

    @rule(number=picks, off=st.sampled_from((0, 0, -1, 1)), to=st.sampled_from(("anything", "a lease's end")))
    def advance_to(self, number: int, off: int, to: str) -> None:
        """To the very moment when something falls due, or just beside it; when it is a lease, somebody looks."""
        now = self.clock.now()
        held = {job.worker for job in self.jobs.values() if job.state is State.RUNNING}
        times = {end for worker, end in self.leases.items() if worker in held or to == "anything"}
        if to == "anything":
            for job in self.jobs.values():
                times |= {job.scheduled_for, job.start_by or 0, job.kept_until or 0}
            times |= {key.expires_at for _, key in self.sent if key} | {delivery.due_at for delivery in self.taken}
        moments = sorted(time for time in times if time > now)
        if moments:
            self.clock.advance((moments[number % len(moments)] + off - now) / 1000)
        if to != "anything":
            self.rescuable(100)

    @rule(
        what=st.sampled_from(("rescue", "rescue", "expire", "purge")),
        limit=st.sampled_from((100, 100, 0, 1, 3)),
        settle=st.booleans(),
    )
    def housekeep(self, what: str, limit: int, settle: bool) -> None:
        changes: list[Change] = []
        if what == "purge":
            self.same(lambda store: store.purge(limit))
        elif what == "expire":
            jobs: list[Job] = self.same(lambda store: store.overdue(limit))
            changes = [change for job in jobs for change in self.decided(job, Overdue())]
        else:
            jobs = self.rescuable(limit)
            changes = [change for job in jobs for change in self.decided(job, LeaseLapsed(job.token or ""))]
        if settle:
            self.apply(changes)
        else:
            self.late = [*self.late, *changes][-6:]

    def rescuable(self, limit: int) -> list[Job]:
        expected, found = self.both(lambda store: store.rescuable(limit))
        ends = [self.leases[job.worker] for job in expected]
        assert [self.leases[job.worker] for job in found] == ends == sorted(ends)
        if len(expected) < limit:
            assert by_id(found) == by_id(expected)
        for job in found:
            assert job == self.jobs[job.id]
            assert job.state is State.RUNNING
        jobs: list[Job] = found
        return jobs

    @rule(queue=st.sampled_from(QUEUES), paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        def call(store: Store) -> Awaitable[None]:
            return store.administration.pause(queue) if paused else store.administration.resume(queue)

        self.same(call)

    @precondition(lambda self: self.jobs)
    @rule(numbers=st.lists(picks, min_size=1, max_size=3), sent_again=st.booleans())
    def delete(self, numbers: list[int], sent_again: bool) -> None:
        """Rather ended jobs, of which there are few. Their submits may arrive once more."""
        jobs = list(self.jobs.values())
        ended = [job for job in jobs if job.done] or jobs
        ids = [(jobs if number % 4 == 0 else ended)[number % len(ended)].id for number in numbers]
        self.same(lambda store: store.delete(ids))
        if sent_again:
            self.look()
            self.send([one for one in self.sent if one[0].id in ids])

    @precondition(lambda self: self.ids)
    @rule(
        index=st.sampled_from(INDEXES),
        onward=st.booleans(),
        limit=st.sampled_from((0, 1, 2, 3, 100)),
        newest=st.booleans(),
        number=picks,
    )
    def scan(self, index: Index, onward: bool, limit: int, newest: bool, number: int) -> None:
        """A page of an index, from its end or from where an earlier page ended. Each store has its own places."""
        old = new = None
        if onward and self.places:
            index = list(self.places)[number % len(self.places)]
            old, new = self.places[index]
        self.turn = 1 - self.turn
        expected = self.run(self.oracle.scan(index, old, limit, newest))
        found = self.run(self.stores[self.turn].scan(index, new, limit, newest))
        assert [job for _, job in found] == [job for _, job in expected]
        assert [place.id for place, _ in found] == [job.id for _, job in found]
        if expected:
            self.places[index] = expected[-1][0], found[-1][0]
        self.same(lambda store: store.ahead(self.ids[number % len(self.ids)]))
        self.same(lambda store: store.administration.queues())

    @rule(
        limit=st.sampled_from((1, 2, 100)),
        hold=st.sampled_from((0, 1_000, 60_000)),
        status=st.sampled_from((200, 500, 410, None)),
        settled=st.sampled_from(("all", "all", "none", "those taken before")),
        guarded=st.booleans(),
    )
    def deliver(self, limit: int, hold: int, status: int | None, settled: str, guarded: bool) -> None:
        before = self.taken
        self.taken = self.same(lambda store: store.outbox.take(limit, hold))
        if settled != "none":
            of = self.taken if settled == "all" else before
            done = [after_try(delivery, status, "ä\x00", self.clock.now()) for delivery in of]
            self.same(lambda store: store.outbox.settle(done, of if guarded else None))

    @invariant()
    def look(self) -> None:
        """After each step every job and the change log are the same, and no job did what none may do."""
        if not self.ids:
            return
        (expected, old), (found, new) = self.run(self._look())
        assert found == expected
        before, self.jobs = self.jobs, {job.id: job for job in expected if job is not None}
        news = self.news(old, new)
        for id, job in self.jobs.items():
            if before.get(id) != job:
                follows(before.get(id), job)
                self.seen = [*self.seen, job][-30:]
            if id in news:
                assert (news[id].state, news[id].reason) == (job.state, job.reason)

    async def _look(self) -> list[tuple[list[Job | None], Changes]]:
        async def look(store: Store, cursor: str) -> tuple[list[Job | None], Changes]:
            return await asyncio.gather(store.get(self.ids), store.changes(cursor, 0))

        stores = (self.oracle, self.stores[self.turn])
        return [await look(store, cursor) for store, cursor in zip(stores, self.cursors, strict=True)]

    def news(self, expected: Changes, found: Changes) -> dict[str, Entry]:
        """The last new entry for each job. Both logs have the same entries, those of a job in its order."""
        self.cursors = [expected.cursor, found.cursor]
        assert not found.reset
        assert sorted(found.entries, key=by_job) == sorted(expected.entries, key=by_job)
        assert sorted(found.entries, key=lambda entry: entry.id) == sorted(found.entries, key=by_job)
        return {entry.id: entry for entry in expected.entries}

    def teardown(self) -> None:
        try:
            assert self.same(lambda store: store.check()) == []
            expected, found = self.both(lambda store: store.counts())
            assert found.states == expected.states
            assert {queue: n for queue, n in found.queued.items() if n} == expected.queued
            self.same(lambda store: asyncio.gather(*map(store.log, self.ids)))
            self.same(lambda store: store.administration.queues())
            self.same(lambda store: store.outbox.recent(1_000))
            self.same(lambda store: asyncio.gather(*map(store.outbox.deliveries, self.ids)))
            self.workers()
        finally:
            for store in self.stores:
                self.run(store.close())
            self.runner.close()

    def workers(self) -> None:
        """Those that hold nothing and are over may be forgotten."""
        expected, found = self.both(lambda store: store.administration.workers())
        kept = [info for info in expected if info.running or info.lease_end > self.clock.now() - HOUR]
        assert [info for info in found if info.running or info.lease_end > self.clock.now() - HOUR] == kept


def by_id(jobs: list[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.id)


def uncounted(answer: Job | Stale) -> Job | Stale:
    return replace(answer, logged=0) if isinstance(answer, Job) else answer


def by_job(entry: Entry) -> tuple[str, int]:
    return entry.id, entry.version


def follows(before: Job | None, job: Job) -> None:
    """What holds between any two states of a job, whatever was done to it."""
    assert (job.state is State.RUNNING) <= (job.token is not None)
    assert (job.finished_at is not None) == (job.state in FINISHED)
    assert job.failures <= job.max_attempts
    assert job.crashes <= job.max_crashes
    if before is None:
        return
    # Log lines alone raise no version.
    assert job.version > before.version or job == replace(before, logged=job.logged)
    assert job.logged >= before.logged
    # What was claimed and not begun is none.
    undone = before.state is State.RUNNING and job.started_at is None
    assert job.attempt >= before.attempt - undone
    if before.state in FINISHED and job.state in FINISHED:
        assert job.result == before.result
    if job.attempt == before.attempt and before.state is State.RUNNING and before.cancel_requested_at is not None:
        assert job.cancel_requested_at == before.cancel_requested_at or job.reason == "retried"
