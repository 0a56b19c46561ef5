"""Promises 1 to 8 of async-job, as questions to each state of the model's world and to each step into it."""

from collections.abc import Callable

from .model import steps
from .store import lives, spell
from .world import ENDED, MOST_ATTEMPTS, MOST_CRASHES, OUTCOMES, RUNNING, Arrival, Record, Setting, World


def broken_by_step(before: World, after: World, arrival: Arrival | None) -> str | None:
    """What a step did that it may not, in a sentence; `None`: nothing."""
    for old, new in zip(before.jobs, after.jobs, strict=True):
        if old is None or new is None:
            continue
        started = new.state == RUNNING and (old.state != RUNNING or new.token != old.token)
        if new.attempt - old.attempt != started:
            return "attempts number the runs: they rise by one with each start, and never otherwise"
    for number, memory in enumerate(after.memories):
        claimed = memory.owner and memory.owner != before.memories[number].owner
        if claimed and before.memories[number].owner:
            return "a job was given out that somebody still owned"
        if claimed and before.memories[number].cancelled:
            return "a job started again after a cancel was accepted"
        if claimed and not lives(after, memory.owner):
            return "a job was given to a worker without a lease"
    return broken_by_arrival(before, arrival) if arrival else None


def broken_by_arrival(world: World, arrival: Arrival) -> str | None:
    """What the store did with a letter that it may not."""
    letter, before, after = arrival.letter, arrival.before, arrival.after
    memory = world.memories[letter.job]
    token = letter.record.token
    if arrival.answer == "told before" and memory.told != token:
        return f"the run {spell(token)} was told that its outcome counts, and nothing of that run was written"
    if arrival.answer == "stale":
        lost = letter.event in OUTCOMES and memory.told == token
        return "an outcome that was written was called lost when it was told again" if lost else None
    if arrival.answer == "written":
        if letter.event in OUTCOMES and memory.owner != token:
            return f"an outcome of {spell(token)} was written, and the job was not that run's"
        if letter.event == "rescue" and (memory.owner != token or lives(world, token)):
            return "a run was taken away from a worker whose lease lives"
        if letter.event == "expire" and (before.attempt or not 0 < before.start_by <= world.now):
            return "a job expired that had no deadline, or had been started"
        if letter.event in ("give back", "crash among others") and charge(after) != charge(before):
            return "a run was charged for what was not its fault"
    elif before != after:
        return "something was written with a guard that does not hold"
    return None


def charge(record: Record) -> tuple[int, int]:
    return record.failures, record.crashes


def broken_in_state(world: World, setting: Setting) -> str | None:
    """What is wrong with a state, whatever led to it."""
    live = 0
    for worker in world.workers:
        begun = [(run.job, run.record.token) for run in worker.runs]
        if len(set(begun)) < len(begun):
            return "a job that was given out once is run twice"
    for record, memory in zip(world.jobs, world.memories, strict=True):
        if record is None:
            continue
        done = record.state in ENDED
        live += not done
        if (record.state == RUNNING) != bool(memory.owner):
            return f"a job is {record.state}, and its owner is {spell(memory.owner)}"
        if memory.owner and memory.owner != record.token:
            return "the job's token is not the one of the run that owns it"
        if done != bool(record.finished_at) or done != bool(record.kept_until):
            return f"a job is {record.state}, and its end says otherwise: it would be purged, or never"
        if record.waiting and (memory.cancelled or record.cancel_requested_at):
            return "a cancel was accepted, and the job waits to be started again"
        if record.failures > MOST_ATTEMPTS or record.crashes > MOST_CRASHES:
            return "a job was charged more often than it may be tried"
        if not done and (record.failures >= MOST_ATTEMPTS or record.crashes >= MOST_CRASHES):
            return "a job goes on that has used up its tries"
    if setting.keyed and live > 1:
        return "two jobs live under one unique key"
    return None


# What those do who are there, in the order in which it is tried. A worker whose lease lapsed is left alone.
HEALTHY: dict[str, int] = {
    verb: rank
    for rank, verb in enumerate(
        [
            "arrive",
            "let the claim arrive",
            "answer",
            "repeat the claim",
            "retire",
            "ask",
            "restart",
            "claim",
            "pass the deadline",
            "renew",
        ]
    )
}


def healthy_step(world: World, setting: Setting) -> World | None:
    """The world after what a healthy worker, or the supervisor of a dead one, does next."""
    best, rank = None, len(HEALTHY)
    for move, after, _ in steps(world, setting):
        silent = move.worker >= 0 and world.workers[move.worker].lease == "lapsed"
        if move.verb not in HEALTHY or (silent and move.verb not in ("renew", "retire")):
            continue
        if (
            (move.verb == "arrive" and "lost" in move.more)
            or (move.verb in ("claim", "let the claim arrive") and move.more)
            or (move.verb == "ask" and move.more not in ("rescue", "expire"))
        ):
            continue
        if HEALTHY[move.verb] < rank:
            best, rank = after, HEALTHY[move.verb]
    return best


def comes_to_an_end(world: World, setting: Setting, fine: set[World], same: Callable[[World], World]) -> bool:
    """Whether all jobs end when nothing more goes wrong. `fine` are the worlds of which that is known."""
    path: dict[World, None] = {}
    step: World | None = same(world)
    while step is not None and step not in fine:
        if step in path:
            return False
        path[step] = None
        if all(job is None or job.state in ENDED for job in step.jobs):
            break
        step = healthy_step(step, setting)
        step = same(step) if step else None
    if step is None:
        return False
    fine.update(path)
    return True
