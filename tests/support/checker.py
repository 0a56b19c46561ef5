"""Compares what clients were told, what jobs wrote down outside the store, and what the store says.

The history is one list of lines: `invoke`, `ok`, `fail` and `retry` by clients, `start` and `end` by jobs, `fault` and
`healed` by the test for each process that it killed or stopped. A second run is explained only by a fault of the
process of the run before it, or by a retry after its end. What befalls the store or the network explains none, unless
the store is made to forget (`FORGET`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from async_job.core.job import Job, State
from async_job.core.life import KEPT, Step, steps_after
from support.ledger import EVERYTHING, Line

LEGAL = {
    State.SCHEDULED: {State.QUEUED, State.CANCELLED, State.EXPIRED},
    State.QUEUED: {State.RUNNING, State.CANCELLED, State.EXPIRED},
    # A cancel that is asked for is a step of its own.
    State.RUNNING: set(State) - {State.EXPIRED},
    State.SUCCEEDED: set(),
    State.FAILED: {State.QUEUED},
    State.CANCELLED: {State.QUEUED},
    State.EXPIRED: {State.QUEUED},
}
"""Which state may follow which."""

OWN_ENDS = ("retry_after_", "shutdown", "neighbour", "no_process", "unknown_type")
"""Reasons of ends that a run or its worker told by itself: after them another run is due."""

FORGET = "FORGET"
"""The fault of a store that lost writes: it may give the same attempt out again."""

AFTERMATH = 5.0
"""Seconds after a stopped process went on in which the jobs that it held may be taken over."""


class Verdict(Struct, kw_only=True):
    """How many jobs each is true of. The first three are for information, the others have to be none.

    attempted, acknowledged  were sent, and were answered
    explained       their function came to its end more than once, and a fault explains each run but the last
    lost            acknowledged, and gone, or ended without having come to the end of their function
    unexpected      ran, and nobody sent them
    unexplained     two runs under one attempt's number, or one that followed another without a reason
    stale_accepted  the stored success is not that of the run that owns the job
    illegal         went a way between states that there is none
    stuck           have not ended
    """

    attempted: int = 0
    acknowledged: int = 0
    explained: int = 0
    lost: int = 0
    unexpected: int = 0
    unexplained: int = 0
    stale_accepted: int = 0
    illegal: int = 0
    stuck: int = 0
    why: list[str] = []

    @property
    def clean(self) -> bool:
        return not (
            self.lost or self.unexpected or self.unexplained or self.stale_accepted or self.illegal or self.stuck
        )


def judge(
    jobs: Sequence[Job | None], history: Sequence[Line], may_end: Collection[State] = (State.SUCCEEDED,)
) -> Verdict:
    """`jobs` is what the store has of all that were sent, `may_end` the states in which they may end."""
    stored = {job.id: job for job in jobs if job is not None}
    runs: dict[str, list[Line]] = defaultdict(list)
    ends: dict[str, list[int]] = defaultdict(list)
    for line in history:
        if line.what == "start":
            runs[line.id].append(line)
        elif line.what == "end":
            ends[line.id].append(line.attempt)
    sent = {line.id for line in history if line.what in ("invoke", "ok")}
    acknowledged = {line.id for line in history if line.what == "ok"}
    faults = list(_faults(history))
    retried = {line.id for line in history if line.what == "retry"}

    found = {
        "lost": {id for id in acknowledged if id not in stored or _came_to_nothing(stored[id], ends[id], may_end)},
        "unexpected": runs.keys() - sent,
        "unexplained": {id for id in runs if not _all_explained(stored.get(id), runs[id], faults, id in retried)},
        "stale_accepted": {id for id, job in stored.items() if _is_stale(job, ends[id])},
        "illegal": {id for id, job in stored.items() if not _is_legal(job)},
        "stuck": {id for id, job in stored.items() if not job.done},
    }
    return Verdict(
        attempted=sum(line.what == "invoke" for line in history),
        acknowledged=len(acknowledged),
        explained=len({id for id, attempts in ends.items() if len(attempts) > 1} - found["unexplained"]),
        **{what: len(ids) for what, ids in found.items()},
        why=[f"{what}: {_told(id, stored.get(id), runs[id])}" for what, ids in found.items() for id in sorted(ids)[:3]],
    )


class _Fault(Struct, frozen=True):
    kind: str
    pid: int
    since: float
    until: float


def _faults(history: Sequence[Line]) -> Iterator[_Fault]:
    healed = [line for line in history if line.what == "healed"]
    for line in history:
        if line.what == "fault":
            until = min((end.at for end in healed if end.pid == line.pid and end.at >= line.at), default=None)
            yield _Fault(line.id, line.pid, line.at, line.at if until is None else until + AFTERMATH)


def _all_explained(job: Job | None, runs: list[Line], faults: list[_Fault], retried: bool) -> bool:
    in_order = sorted(runs, key=lambda run: (run.attempt, run.at))
    return all(_explained(job, run, following, faults, retried) for run, following in pairwise(in_order))


def _explained(job: Job | None, run: Line, following: Line, faults: list[_Fault], retried: bool) -> bool:
    """Whether there was a reason to run the job again after `run`."""
    told = [ended.reason for ended in job.attempts if ended.number == run.attempt] if job is not None else []
    if run.attempt != following.attempt and any(retried or reason.startswith(OWN_ENDS) for reason in told):
        return True
    # What was stopped before its function began may begin it after its successor did.
    first, last = sorted((run.at, following.at))
    if run.attempt == following.attempt:
        faults = [fault for fault in faults if fault.kind == FORGET]
    return any(fault.pid in (run.pid, EVERYTHING) and fault.since <= last and first <= fault.until for fault in faults)


def _came_to_nothing(job: Job, ends: list[int], may_end: Collection[State]) -> bool:
    return job.done and (job.state not in may_end or (job.state is State.SUCCEEDED and not ends))


def _is_stale(job: Job, ends: list[int]) -> bool:
    """The functions of `support.ledger` return the number of their attempt."""
    if job.state is not State.SUCCEEDED or not ends:
        return False
    return job.attempt not in ends or job.result != b"%d" % job.attempt


def _is_legal(job: Job) -> bool:
    steps = steps_after(job.life, 1)
    if steps is None or len(job.life) >= KEPT:
        steps = steps_after(job.life, job.version - 1) or []
        return not steps or steps[-1].state is job.state
    first = State.SCHEDULED if steps and steps[0].state is State.QUEUED else State.QUEUED
    path = [Step(1, first), *steps]
    begun = sum(new.state is State.RUNNING and old.state is not State.RUNNING for old, new in pairwise(path))
    # What was claimed and went back without having begun is no attempt.
    undoable = (State.QUEUED, State.CANCELLED)
    returned = sum(old.state is State.RUNNING and new.state in undoable for old, new in pairwise(path))
    return (
        all(new.version > old.version and new.state in LEGAL[old.state] for old, new in pairwise(path))
        and 0 <= begun - job.attempt <= returned
        and (not steps or steps[-1].state is job.state)
    )


def _told(id: str, job: Job | None, runs: list[Line]) -> str:
    ran = ", ".join(f"attempt {run.attempt} in {run.pid} at {run.at:.2f}" for run in runs)
    if job is None:
        return f"{id} is not in the store; ran: {ran or 'never'}"
    reasons = [f"{ended.number} {ended.reason}" for ended in job.attempts]
    return f"{id} is {job.state} ({job.reason}), life {job.life}, ended attempts {reasons}; ran: {ran or 'never'}"
