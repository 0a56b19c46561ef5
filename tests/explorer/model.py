"""A tiny world for the explorer: two jobs, two workers, a store, and letters that are on their way.

What may happen is decided by the real `decide`. The store here is written anew from the docstrings of
`async_job.store.protocol`, so that it can be wrong in other ways than the real ones; `Bug` leaves out one thing of it.
A letter is a decision that was made on what its sender knew, and arrives later, perhaps twice. A pause needs no move of
its own: a worker that does nothing while the others do is paused, and what it knows grows old.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from async_job.core.job import FINISHED, Change, ErrorInfo, ErrorKind, Guard, Job, State
from async_job.core.lifecycle import (
    CancelRequested,
    Crashed,
    Event,
    Failed,
    LeaseLapsed,
    Overdue,
    Released,
    RetryRequested,
    Stopped,
    Succeeded,
    decide,
)
from async_job.errors import AlreadyFinished, Lost, NotOverdue, NotRetryable

SCHEDULED, QUEUED, RUNNING = State.SCHEDULED.value, State.QUEUED.value, State.RUNNING.value
WAITING = (SCHEDULED, QUEUED)
ENDED = tuple(state.value for state in FINISHED)
START, DEADLINE = 1_000, 2_000
MOST_ATTEMPTS = MOST_CRASHES = 2
MOST_LETTERS = 2
"""Users and rescuers send no more while so many letters are on their way."""

Token = tuple[int, ...]
"""(worker, claim), or () for none."""


class Bug(StrEnum):
    """What the store, or the decision, can be made to leave out."""

    NO_TOKEN = "a change is written whoever holds the job"
    NO_UNCANCELLED = "a change is written though a cancel was asked for"
    NO_LAPSED = "a rescue is written though the lease lives"
    NO_DEADLINE = "a job expires that no longer has a deadline"
    RESCUE_KEEPS_TOKEN = "a rescued job keeps its token"
    OUTCOME_FORGOTTEN = "an outcome that was told before is not recognised"
    CLAIM_FORGOTTEN = "a repeated claim claims anew"
    KEY_NOT_TAKEN = "a retried job does not take its unique key again"
    RETRY_KEEPS_END = "a retried job is still on the list of those to be purged"


class Record(NamedTuple):
    """What makes a difference of a job, under the names it has there; 0 and () stand for None. The state is a plain
    string, whose hash is quick."""

    state: str
    token: Token = ()
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    suspect: bool = False
    start_by: int = 0
    cancel_requested_at: int = 0
    finished_at: int = 0
    kept_until: int = 0

    @property
    def waiting(self) -> bool:
        return self.state in WAITING


class Letter(NamedTuple):
    """What somebody wants to become of a job that was as `record` says. A worker's run is a letter too, whose `event`
    is empty as long as it may end in any way. `told`: it has arrived, and its answer was lost."""

    job: int
    event: str
    record: Record
    told: bool = False


class Worker(NamedTuple):
    """`first`: the claims below it were made under ids that are retired. `last`: the latest claim. `asking`: the
    answer to that was lost."""

    alive: bool = True
    lease: str = "live"
    first: int = 1
    last: int = 0
    asking: bool = False
    runs: tuple[Letter, ...] = ()


class Memory(NamedTuple):
    """What was promised about a job, kept apart from the store: whose it is, which run's outcome was accepted since
    the last claim, and whether a cancel was."""

    owner: Token = ()
    told: Token = ()
    cancelled: bool = False


class World(NamedTuple):
    jobs: tuple[Record | None, ...] = (None, None)
    memories: tuple[Memory, ...] = (Memory(), Memory())
    workers: tuple[Worker, ...] = (Worker(), Worker())
    letters: tuple[Letter, ...] = ()
    now: int = START


class Setting(NamedTuple):
    """`keyed`: both jobs have the same unique key. `deadline`: they have to be started by `DEADLINE`."""

    jobs: int = 2
    keyed: bool = False
    deadline: bool = False
    bug: Bug | None = None


class Move(NamedTuple):
    verb: str
    worker: int = -1
    job: int = -1
    more: str = ""

    @property
    def trouble(self) -> bool:
        """Whether it is a fault, or somebody's request."""
        return self.verb in TROUBLES or LOST in self.more


class Arrival(NamedTuple):
    """What the store did with a letter: `answer` is written, told before, or stale."""

    letter: Letter
    answer: str
    before: Record
    after: Record
    worker: int = -1


Step = tuple[Move, World, Arrival | None]


def put(items: tuple, at: int, item: object) -> tuple:
    """The tuple with another item at one place."""
    return (*items[:at], item, *items[at + 1 :])


# The store


def apply(world: World, job: int, change: Change, setting: Setting) -> tuple[World, str]:
    """`Store.apply` for one change."""
    before = world.jobs[job]
    assert before is not None
    if not holds(world, before, change.guard, setting.bug):
        told_before = change.outcome and spell(before.token) == change.guard.token and before.state != RUNNING
        return world, "told before" if told_before and setting.bug is not Bug.OUTCOME_FORGOTTEN else "stale"
    after = before._replace(**written(change, setting.bug))
    comes_back = before.state in ENDED and after.state not in ENDED
    if comes_back and setting.bug is not Bug.KEY_NOT_TAKEN and key_taken(world, setting):
        return world, "stale"
    return world._replace(jobs=put(world.jobs, job, after)), "written"


def holds(world: World, record: Record, guard: Guard, bug: Bug | None) -> bool:
    token = None if bug is Bug.NO_TOKEN else guard.token
    uncancelled = guard.uncancelled and bug is not Bug.NO_UNCANCELLED
    lapsed = guard.lapsed and bug is not Bug.NO_LAPSED
    deadline = guard.deadline and bug is not Bug.NO_DEADLINE
    return (
        record.state == guard.state
        and (token is None or spell(record.token) == token)
        and not (uncancelled and record.cancel_requested_at)
        and not (lapsed and lives(world, record.token))
        and not (deadline and not record.start_by)
    )


def written(change: Change, bug: Bug | None) -> dict[str, object]:
    fields = {name: value for name, value in change.fields.items() if name in Record._fields}
    if "token" in fields:
        fields["token"] = ()
    if bug is Bug.RESCUE_KEEPS_TOKEN:
        fields.pop("token", None)
    if bug is Bug.RETRY_KEEPS_END and change.state is State.QUEUED:
        fields.pop("kept_until", None)
    return {name: 0 if value is None else value for name, value in fields.items()} | {"state": change.state.value}


def lives(world: World, token: Token) -> bool:
    """Whether the lease of the worker that made this claim is not over."""
    if not token:
        return False
    worker = world.workers[token[0]]
    return worker.lease == "live" and token[1] >= worker.first


def key_taken(world: World, setting: Setting) -> bool:
    return setting.keyed and any(job and job.state not in ENDED for job in world.jobs)


def claimable(world: World) -> list[int]:
    return [
        number
        for number, job in enumerate(world.jobs)
        if job and job.waiting and (job.attempt or not job.start_by or job.start_by > world.now)
    ]


def claim(world: World, w: int, chosen: list[int], answered: bool) -> World:
    """`Store.claim`: everything is promoted (it is due at once here), the chosen jobs are started."""
    worker = world.workers[w]
    token = (w, worker.last + 1)
    jobs = [job._replace(state=QUEUED) if job and job.state == SCHEDULED else job for job in world.jobs]
    memories, runs = list(world.memories), worker.runs
    for number in chosen:
        job = jobs[number]
        assert job is not None
        jobs[number] = job._replace(state=RUNNING, token=token, attempt=job.attempt + 1)
        memories[number] = memories[number]._replace(owner=token, told=())
        if answered:
            runs = (*runs, Letter(number, "", jobs[number]))
    worker = worker._replace(last=worker.last + 1, asking=not answered, runs=runs)
    return world._replace(jobs=tuple(jobs), memories=tuple(memories), workers=put(world.workers, w, worker))


# What is decided


@cache
def spell(token: Token) -> str | None:
    return f"{token[0]}:{token[1]}" if token else None


@cache
def decided(record: Record, event: str, now: int) -> Change | None:
    """The change that follows for the job; `None`: nothing, or it may not be."""
    job = Job(
        id="job",
        type="demo",
        input=b"",
        state=State(record.state),
        created_at=0,
        scheduled_for=0,
        updated_at=0,
        token=spell(record.token),
        attempt=record.attempt,
        max_attempts=MOST_ATTEMPTS,
        failures=record.failures,
        max_crashes=MOST_CRASHES,
        crashes=record.crashes,
        suspect=record.suspect,
        start_by=record.start_by or None,
        cancel_requested_at=record.cancel_requested_at or None,
        finished_at=record.finished_at or None,
        kept_until=record.kept_until or None,
    )
    try:
        return decide(job, event_of(event, job.token or ""), now)
    except (AlreadyFinished, Lost, NotOverdue, NotRetryable):
        return None


def event_of(name: str, token: str) -> Event:
    error = ErrorInfo(kind=ErrorKind.APPLICATION, message="no luck", retryable=name == "fail")
    events: dict[str, Event] = {
        "succeed": Succeeded(token, b"1"),
        "fail": Failed(token, error, delay=0),
        "fail for good": Failed(token, error),
        "give back": Released(token),
        "stop": Stopped(token),
        "crash alone": Crashed(token, "signal 9", alone=True),
        "crash among others": Crashed(token, "signal 9", alone=False),
        "rescue": LeaseLapsed(token),
        "cancel": CancelRequested(),
        "retry": RetryRequested(),
        "expire": Overdue(),
    }
    return events[name]


ENDS = ("succeed", "fail", "fail for good", "give back")
OUTCOMES = frozenset({*ENDS, "stop", "crash alone", "crash among others"})
TROUBLES = ("ask", "lapse", "crash")
LOST = "and the answer is lost"


# What can happen


def steps(world: World, setting: Setting) -> Iterator[Step]:
    """Every move that changes something, with the world after it."""
    for job, record in enumerate(world.jobs):
        if record is None:
            if not key_taken(world, setting):
                yield Move("submit", job=job), submitted(world, job, setting), None
        elif len(world.letters) < MOST_LETTERS:
            yield from requests(world, job, record)
    for number, worker in enumerate(world.workers):
        yield from process_steps(world, number, worker, setting)
        if worker.alive:
            yield from worker_steps(world, number, worker, setting)
    for at, letter in enumerate(world.letters):
        rest = world._replace(letters=world.letters[:at] + world.letters[at + 1 :])
        for move, after, arrival, left in arrive(rest, letter, -1, setting):
            yield move, after._replace(letters=(*after.letters, left)) if left else after, arrival
    if setting.deadline and world.now < DEADLINE:
        yield Move("pass the deadline"), world._replace(now=DEADLINE), None


def submitted(world: World, job: int, setting: Setting) -> World:
    record = Record(QUEUED, start_by=DEADLINE if setting.deadline else 0)
    return world._replace(jobs=put(world.jobs, job, record))


def requests(world: World, job: int, record: Record) -> Iterator[Step]:
    """Letters of users, rescuers and expirers, who read the job just now."""
    events = ["cancel", "retry", "expire"]
    if record.state == RUNNING and not lives(world, record.token):
        events.append("rescue")
    for event in events:
        letter = Letter(job, event, record)
        if letter not in world.letters and decided(record, event, world.now):
            yield Move("ask", job=job, more=event), world._replace(letters=(*world.letters, letter)), None


def process_steps(world: World, w: int, worker: Worker, setting: Setting) -> Iterator[Step]:
    """What happens to the process and its lease."""

    def become(verb: str, letters: tuple[Letter, ...] = (), more: str = "", **fields: object) -> Step:
        workers = put(world.workers, w, worker._replace(**fields))
        return Move(verb, w, more=more), world._replace(workers=workers, letters=world.letters + letters), None

    if worker.lease == "live":
        yield become("lapse", lease="lapsed")
    elif worker.lease == "lapsed" and worker.alive:
        yield become("renew", lease="live")
    if worker.alive:
        yield become("crash", alive=False, asking=False, runs=())
        for run in worker.runs:
            for event in [run.event] if run.event else ["succeed", "fail"]:
                sent = (run._replace(event=event),)
                yield become(
                    "crash", sent, f"its last letter is on its way: {event}", alive=False, asking=False, runs=()
                )
    elif worker.lease == "retired":
        yield become("restart", alive=True, lease="live", first=worker.last + 1)
    else:
        held = [
            (job, record)
            for job, record in enumerate(world.jobs)
            if record and record.state == RUNNING and record.token[0] == w and record.token[1] >= worker.first
        ]
        event = "crash alone" if len(held) == 1 else "crash among others"
        yield become("retire", tuple(Letter(job, event, record) for job, record in held), lease="retired")


def worker_steps(world: World, w: int, worker: Worker, setting: Setting) -> Iterator[Step]:
    """What a worker does that is alive."""
    if worker.asking:
        if setting.bug is Bug.CLAIM_FORGOTTEN:
            yield Move("repeat the claim", w), claim(world, w, claimable(world), answered=True), None
        else:
            token = (w, worker.last)
            held = [(job, record) for job, record in enumerate(world.jobs) if record and record.token == token]
            runs = tuple(Letter(job, "", record) for job, record in held if record.state == RUNNING)
            asked = worker._replace(asking=False, runs=worker.runs + runs)
            yield Move("repeat the claim", w), world._replace(workers=put(world.workers, w, asked)), None
    elif worker.lease == "live":
        ready = claimable(world)
        for chosen in [[job] for job in ready] + ([ready] if len(ready) > 1 else []):
            job = chosen[0] if len(chosen) == 1 else -1
            yield Move("claim", w, job), claim(world, w, chosen, answered=True), None
            yield Move("claim", w, job, LOST), claim(world, w, chosen, answered=False), None
    for at, run in enumerate(worker.runs):
        others = worker.runs[:at] + worker.runs[at + 1 :]
        without = world._replace(workers=put(world.workers, w, worker._replace(runs=others)))
        record = world.jobs[run.job]
        assert record is not None
        mine = record.state == RUNNING and record.token == run.record.token
        ends = (*ENDS, "stop") if mine and record.cancel_requested_at else ENDS
        for event in [run.event] if run.event else ends:
            for move, after, arrival, left in arrive(without, run._replace(event=event), w, setting):
                yield move, with_run(after, w, left) if left else after, arrival


def with_run(world: World, w: int, run: Letter) -> World:
    worker = world.workers[w]
    return world._replace(workers=put(world.workers, w, worker._replace(runs=(*worker.runs, run))))


def arrive(
    world: World, letter: Letter, w: int, setting: Setting
) -> Iterator[tuple[Move, World, Arrival, Letter | None]]:
    """A letter reaches the store, with the answer or without. What is left of it is sent again: the same if the answer
    was lost, decided anew if the job had moved."""
    change = decided(letter.record, letter.event, world.now)
    before = world.jobs[letter.job]
    assert before is not None
    if change is None:
        return
    after, answer = apply(world, letter.job, change, setting)
    record = after.jobs[letter.job]
    assert record is not None
    arrival = Arrival(letter, answer, before, record, w)
    after = after._replace(memories=put(after.memories, letter.job, remember(after.memories[letter.job], arrival)))
    left = None
    if answer == "stale" and before != letter.record and still_concerns(letter, before, world.now):
        left = letter._replace(record=before)
    yield Move("arrive", w, letter.job, letter.event), after, arrival, left
    if change.outcome and answer != "stale" and not letter.told:
        lost = f"{letter.event}, {LOST}"
        yield Move("arrive", w, letter.job, lost), after, arrival, letter._replace(told=True)


def still_concerns(letter: Letter, record: Record, now: int) -> bool:
    """Whether there is something to decide anew. A run's event is about that run, and bears its token."""
    same_run = record.token == letter.record.token
    return (same_run or letter.event in ("cancel", "retry", "expire")) and bool(decided(record, letter.event, now))


def remember(memory: Memory, arrival: Arrival) -> Memory:
    event = arrival.letter.event
    if arrival.answer != "written":
        return memory
    if event == "cancel":
        # A job that had not started has come to its end by it.
        return memory._replace(cancelled=True)
    if event == "retry":
        return memory._replace(cancelled=False)
    if event == "expire":
        return memory
    return memory._replace(owner=(), told=arrival.letter.record.token if event in OUTCOMES else ())
