"""Tries out everything that can happen to two jobs and two workers, up to a number of steps, breadth first.

    python -m explorer.explore [--depth 12] [--bug NO_TOKEN]      in the folder tests

States that differ only by which worker or job is which, or by how far the claims have been counted, are one state.
"""

import argparse
import sys
import time
from typing import NamedTuple

from .model import steps
from .promises import broken_by_step, broken_in_state, comes_to_an_end
from .world import Ask, Bug, Letter, Memory, Move, Record, Setting, Token, Worker, World

DEPTH = 12
ENDS_LEFT_OUT = 3
"""Whether a state can come to an end is asked of all but the last few layers, which are the most."""


class Plan(NamedTuple):
    """How far to go. `troubles`: how many faults and requests (a lapse, a crash, a lost answer, a cancel, a retry …)
    one run of the world may have; with any number at once, the states are too many after a few steps."""

    name: str
    setting: Setting
    depth: int
    troubles: int


PLANS = (
    Plan("one job with a deadline, three troubles", Setting(jobs=1, deadline=True), depth=11, troubles=3),
    Plan("two jobs, one trouble", Setting(), depth=12, troubles=1),
    Plan("two jobs, two troubles", Setting(), depth=9, troubles=2),
    Plan("two jobs with a key and a deadline, two troubles", Setting(keyed=True, deadline=True), depth=10, troubles=2),
    Plan("two jobs, any number of troubles", Setting(), depth=6, troubles=6),
    Plan("one job, two claims in flight, two troubles", Setting(jobs=1, in_flight=2), depth=8, troubles=2),
    Plan("two jobs, two claims in flight, two troubles", Setting(in_flight=2), depth=7, troubles=2),
)


class Violation(NamedTuple):
    promise: str
    trace: list[str]

    def __str__(self) -> str:
        return "\n".join([f"broken: {self.promise}", *(f"{n:3}. {words}" for n, words in enumerate(self.trace, 1))])


class Explored(NamedTuple):
    """`met`: each kind of letter with each answer that the store gave to it."""

    states: int
    transitions: int
    depth: int
    seconds: float
    violation: Violation | None
    met: set[tuple[str, str]]

    def __str__(self) -> str:
        counted = f"{self.states:,} states, {self.transitions:,} transitions, depth {self.depth}, {self.seconds:.1f} s"
        return f"{counted}\n{self.violation}" if self.violation else f"{counted}, no promise broken"


class Order(NamedTuple):
    """Which job and which worker of the world before stands at each place of the world after."""

    jobs: tuple[int, ...]
    workers: tuple[int, ...]


def explore(setting: Setting, depth: int = DEPTH, troubles: int = 3) -> Explored:
    """Goes through all states, and stops at the first that breaks a promise: no other is fewer steps away."""
    began = time.process_time()
    first = World(jobs=(None,) * setting.jobs, memories=(Memory(),) * setting.jobs)
    came: dict[World, tuple[World, Move, Order] | None] = {first: None}
    left = {first: troubles}
    fine: set[World] = set()

    def endless(state: World) -> str | None:
        if comes_to_an_end(state, setting, fine, lambda world: canonical(world)[0]):
            return None
        return "a job never ends, although nothing goes wrong any more"

    layer, transitions = [first], 0
    met: set[tuple[str, str]] = set()
    for far in range(depth):
        following = []
        for world in layer:
            for move, after, arrival in steps(world, setting):
                still = left[world] - move.trouble
                if still < 0:
                    continue
                transitions += 1
                if arrival:
                    met.add((arrival.letter.event, arrival.answer))
                promise = broken_by_step(world, after, arrival)
                state, order = canonical(after)
                if still > left.get(state, -1):
                    following.append(state)
                    left[state] = still
                if state not in came:
                    came[state] = (world, move, order)
                    promise = promise or broken_in_state(state, setting)
                    if far < depth - ENDS_LEFT_OUT:
                        promise = promise or endless(state)
                if promise:
                    violation = Violation(promise, [*trace(came, world, move)])
                    return Explored(len(came), transitions, depth, time.process_time() - began, violation, met)
        layer = following
    return Explored(len(came), transitions, depth, time.process_time() - began, None, met)


def canonical(world: World) -> tuple[World, Order]:
    """The one world that stands for all that are the same but for names and numbers."""
    jobs, workers = order_of(world)
    tokens: dict[Token, Token] = {(): ()}
    counted: list[int] = [0] * len(workers)
    retired, made = list(counted), list(counted)
    places = {number: place for place, number in enumerate(workers)}
    for token in sorted(tokens_in(world)):
        number, claim = token
        counted[number] += 1
        retired[number] += claim < world.workers[number].first
        made[number] += claim <= world.workers[number].made
        tokens[token] = (places[number], counted[number])
    job_places = {number: place for place, number in enumerate(jobs)}

    def renamed(record: Record) -> Record:
        return Record(record.state, tokens[record.token], min(record.attempt, 1), *record[3:])

    def letters(given: tuple) -> tuple:
        if not given:
            return given
        return tuple(
            sorted(Letter(job_places[job], event, renamed(record), told) for job, event, record, told in given)
        )

    state = World(
        tuple(renamed(record) if (record := world.jobs[number]) else None for number in jobs),
        tuple(
            Memory(tokens[memory.owner], tokens[memory.told], memory.cancelled)
            for memory in (world.memories[number] for number in jobs)
        ),
        tuple(
            Worker(
                worker.alive,
                worker.lease,
                retired[number] + 1,
                counted[number],
                made[number],
                tuple(
                    Ask(tokens[number, ask.claim][1], ask.where, letters(ask.runs)) for ask in sorted(worker.asking)
                ),
                letters(worker.runs),
            )
            for worker, number in ((world.workers[number], number) for number in workers)
        ),
        letters(world.letters),
        world.now,
    )  # fmt: skip
    return state, Order(jobs, workers)


def order_of(world: World) -> Order:
    jobs = range(len(world.jobs))
    one, other = map(worker_key, world.workers)
    return Order(
        tuple(sorted(jobs, key=lambda number: job_key(world, number))) if len(jobs) > 1 else (0,),
        (1, 0) if other < one else (0, 1),
    )


def job_key(world: World, number: int) -> tuple:
    record = world.jobs[number]
    if record is None:
        return ()
    letters = sorted(letter.event for letter in world.letters if letter.job == number)
    return (record.state, *record[3:], min(record.attempt, 1), len(letters), letters)


def worker_key(worker: Worker) -> tuple:
    runs = sorted((run.event, run.told) for run in worker.runs)
    asking = sorted((ask.where, len(ask.runs)) for ask in worker.asking)
    return (worker.alive, worker.lease, asking, len(runs), runs)


def tokens_in(world: World) -> set[Token]:
    """The claims that still matter."""
    tokens = {record.token for record in world.jobs if record}
    for memory in world.memories:
        tokens.add(memory.owner)
        tokens.add(memory.told)
    for letter in world.letters:
        tokens.add(letter.record.token)
    for number, worker in enumerate(world.workers):
        for run in worker.runs:
            tokens.add(run.record.token)
        for ask in worker.asking:
            tokens.update([(number, ask.claim), (number, worker.last), (number, worker.made)])
            tokens.update(run.record.token for run in ask.runs)
    tokens.discard(())
    return tokens


def trace(came: dict[World, tuple[World, Move, Order] | None], world: World, last: Move) -> list[str]:
    """The moves that led to a world, and the last one, in words, with the names that jobs and workers had at first."""
    path: list[tuple[Move, Order]] = []
    step = came[world]
    while step is not None:
        world, move, order = step
        path.append((move, order))
        step = came[world]
    jobs, workers = (0, 1), (0, 1)
    lines = []
    for move, order in reversed(path):
        lines.append(in_words(move, jobs, workers))
        jobs = tuple(jobs[number] for number in order.jobs)
        workers = tuple(workers[number] for number in order.workers)
    return [*lines, in_words(last, jobs, workers)]


def in_words(move: Move, jobs: tuple[int, ...], workers: tuple[int, ...]) -> str:
    worker = f"worker {'12'[workers[move.worker]]}" if move.worker >= 0 else "somebody"
    job = f"job {'AB'[jobs[move.job]]}" if move.job >= 0 else "both jobs"
    words = {
        "submit": f"somebody submits {job}",
        "claim": f"{worker} claims {job}",
        "send a claim": f"{worker} sends a claim",
        "let the claim arrive": f"a claim of {worker} reaches the store",
        "answer": f"{worker} gets the answer to a claim",
        "lose": f"the connection of {worker} is lost, with a claim or its answer",
        "repeat the claim": f"{worker} repeats its claim, and gets the answer",
        "arrive": f"the letter of {worker} about {job} reaches the store: {move.more}",
        "ask": f"somebody reads {job} and sends: {move.more}",
        "lapse": f"{worker} is not heard of for longer than its lease",
        "renew": f"{worker} renews its lease",
        "crash": f"{worker} dies",
        "retire": f"the supervisor of {worker} retires it, and sends what became of its jobs",
        "restart": f"{worker} is started again under a new id",
        "pass the deadline": "the deadline passes",
    }[move.verb]
    return words + (f", {move.more}" if move.verb != "arrive" and move.verb != "ask" and move.more else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--bug", choices=[bug.name for bug in Bug], help="leave out one thing")
    arguments = parser.parse_args()
    bug = Bug[arguments.bug] if arguments.bug else None
    broken = False
    for plan in PLANS:
        explored = explore(plan.setting._replace(bug=bug), min(arguments.depth, plan.depth), plan.troubles)
        print(f"{plan.name}: {explored}", flush=True)
        broken = broken or explored.violation is not None
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
