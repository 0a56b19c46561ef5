"""The store of the explorer's world, and what the real `decide` says there."""

from functools import cache

from async_job.core.job import Change, ErrorInfo, ErrorKind, Guard, Job, State
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

from .world import (
    ENDED,
    MOST_ATTEMPTS,
    MOST_CRASHES,
    QUEUED,
    RUNNING,
    SCHEDULED,
    Ask,
    Bug,
    Letter,
    Record,
    Setting,
    Token,
    Worker,
    World,
    put,
)


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


def claim(world: World, w: int, number: int, chosen: list[int], where: str) -> World:
    """`Store.claim` for the first time: everything is promoted (it is due at once here), the chosen jobs are started.
    `where` is the answer then: `coming`, `lost`, or at once with the worker."""
    worker = world.workers[w]
    token = (w, number)
    jobs = [job._replace(state=QUEUED) if job and job.state == SCHEDULED else job for job in world.jobs]
    memories, runs = list(world.memories), []
    for at in chosen:
        job = jobs[at]
        assert job is not None
        started = job._replace(state=RUNNING, token=token, attempt=job.attempt + 1)
        jobs[at], memories[at] = started, memories[at]._replace(owner=token, told=())
        runs.append(Letter(at, "", started))
    worker = worker._replace(last=max(worker.last, number), made=number)
    worker = answered(worker, Ask(number, where, tuple(runs)))
    return world._replace(jobs=tuple(jobs), memories=tuple(memories), workers=put(world.workers, w, worker))


def claim_again(world: World, w: int, ask: Ask, bug: Bug | None) -> tuple[int, tuple[Letter, ...]]:
    """`Store.claim` under a number that it has made, or one before: the last number now, and the runs of the answer."""
    made = world.workers[w].made
    token = (w, ask.claim)
    runs = tuple(
        Letter(job, "", record)
        for job, record in enumerate(world.jobs)
        if record and record.token == token and record.state == RUNNING
    )
    if bug is Bug.OLDER_FORGOTTEN and ask.claim < made:
        runs = ()
    return ask.claim if bug is Bug.OLDER_SETS_BACK else made, runs


def answered(worker: Worker, ask: Ask) -> Worker:
    """The worker after what became of a claim of it, which may be a new one."""
    others = tuple(other for other in worker.asking if other.claim != ask.claim)
    if ask.where == "here" or not worker.alive:
        return worker._replace(asking=others, runs=worker.runs + ask.runs if worker.alive else ())
    return worker._replace(asking=(*others, ask))


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
