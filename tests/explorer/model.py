"""What can happen in the explorer's world: every move, with the world after it."""

from collections.abc import Iterator

from .store import answered, apply, claim, claim_again, claimable, decided, key_taken, lives
from .world import (
    DEADLINE,
    ENDS,
    LATER,
    LOST,
    MOST_LETTERS,
    OUTCOMES,
    QUEUED,
    RUNNING,
    Arrival,
    Ask,
    Bug,
    Letter,
    Memory,
    Move,
    Record,
    Setting,
    Step,
    Worker,
    World,
    put,
    with_worker,
)


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
        for ask in worker.asking:
            yield from ask_steps(world, number, ask, setting)
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
        on_their_way = tuple(ask for ask in worker.asking if ask.where == "sent")
        yield become("crash", alive=False, asking=on_their_way, runs=())
        for run in worker.runs:
            for event in [run.event] if run.event else ["succeed", "fail"]:
                sent = (run._replace(event=event),)
                yield become(
                    "crash",
                    sent,
                    f"its last letter is on its way: {event}",
                    alive=False,
                    asking=on_their_way,
                    runs=(),
                )
    elif worker.lease == "retired":
        yield become("restart", alive=True, lease="live", first=worker.last + 1, made=worker.last)
    else:
        held = [
            (job, record)
            for job, record in enumerate(world.jobs)
            if record and record.state == RUNNING and record.token[0] == w and record.token[1] >= worker.first
        ]
        event = "crash alone" if len(held) == 1 else "crash among others"
        yield become("retire", tuple(Letter(job, event, record) for job, record in held), lease="retired", asking=())


def worker_steps(world: World, w: int, worker: Worker, setting: Setting) -> Iterator[Step]:
    """What a worker does that is alive."""
    if worker.lease == "live" and may_ask(worker, setting):
        yield from claim_steps(world, w, worker.last + 1, "claim", setting)
        if setting.in_flight > 1:
            asking = (*worker.asking, Ask(worker.last + 1, "sent"))
            yield Move("send a claim", w), with_worker(world, w, last=worker.last + 1, asking=asking), None
    for at, run in enumerate(worker.runs):
        others = worker.runs[:at] + worker.runs[at + 1 :]
        rest = with_worker(world, w, runs=others)
        record = world.jobs[run.job]
        assert record is not None
        mine = record.state == RUNNING and record.token == run.record.token
        ends = (*ENDS, "stop") if mine and record.cancel_requested_at else ENDS
        for event in [run.event] if run.event else ends:
            for move, after, arrival, left in arrive(rest, run._replace(event=event), w, setting):
                yield move, with_worker(after, w, runs=(*others, left)) if left else after, arrival


def may_ask(worker: Worker, setting: Setting) -> bool:
    """Whether it may make a new claim: with two in flight, not two after the oldest without an answer."""
    return not worker.asking or (
        setting.in_flight > len(worker.asking) and min(worker.asking).claim > worker.last + 1 - setting.in_flight
    )


def claim_steps(world: World, w: int, number: int, verb: str, setting: Setting) -> Iterator[Step]:
    """A new claim reaches the store and is given one job, or all there are; the answer comes at once, later, or not."""
    ready = claimable(world)
    choices = [[job] for job in ready] + ([ready] if len(ready) != 1 else [])
    for chosen in choices if verb != "claim" or ready else []:
        job = chosen[0] if len(chosen) == 1 else -1
        yield Move(verb, w, job), claim(world, w, number, chosen, "here"), None
        if verb != "repeat the claim":
            yield Move(verb, w, job, LOST), claim(world, w, number, chosen, "lost"), None
            if setting.in_flight > 1:
                yield Move(verb, w, job, LATER), claim(world, w, number, chosen, "coming"), None


def ask_steps(world: World, w: int, ask: Ask, setting: Setting) -> Iterator[Step]:
    """What happens to a claim that is without an answer."""
    worker = world.workers[w]
    if ask.where == "coming":
        yield Move("answer", w), with_asked(world, w, ask._replace(where="here")), None
    if ask.where != "lost":
        yield Move("lose", w), with_asked(world, w, ask._replace(where="lost")), None
    verb = "repeat the claim" if ask.where == "lost" else "let the claim arrive"
    if ask.where == "coming" or (ask.where == "lost" and not worker.alive):
        return
    if ask.claim > worker.made or setting.bug is Bug.CLAIM_FORGOTTEN:
        number = worker.last + 1 if setting.bug is Bug.CLAIM_FORGOTTEN else ask.claim
        if worker.lease == "live":
            yield from claim_steps(with_worker(world, w, asking=without(worker, ask)), w, number, verb, setting)
        return
    made, runs = claim_again(world, w, ask, setting.bug)
    after = with_worker(world, w, made=made)
    yield Move(verb, w), with_asked(after, w, Ask(ask.claim, "here", runs)), None
    if ask.runs and setting.bug is Bug.ANSWER_TAKEN_TWICE:
        both = with_asked(after, w, Ask(ask.claim, "here", runs + ask.runs))
        yield Move(verb, w, more="then comes the first answer"), both, None


def without(worker: Worker, ask: Ask) -> tuple[Ask, ...]:
    return tuple(other for other in worker.asking if other != ask)


def with_asked(world: World, w: int, ask: Ask) -> World:
    return world._replace(workers=put(world.workers, w, answered(world.workers[w], ask)))


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
