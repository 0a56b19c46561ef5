"""A tiny world for the explorer: two jobs, two workers, a store, and letters that are on their way.

What may happen is decided by the real `decide`. The store here is written anew from the docstrings of
`async_job.store.protocol`, so that it can be wrong in other ways than the real ones; `Bug` leaves out one thing of it.
A letter is a decision that was made on what its sender knew, and arrives later, perhaps twice. A pause needs no move of
its own: a worker that does nothing while the others do is paused, and what it knows grows old. A claim is on its way,
too: to the store, or its answer to the worker; with two of one worker in flight, either may come first or be lost.
"""

from enum import StrEnum
from typing import NamedTuple

from async_job.core.job import FINISHED, State

SCHEDULED, QUEUED, RUNNING = State.SCHEDULED.value, State.QUEUED.value, State.RUNNING.value
WAITING = (SCHEDULED, QUEUED)
ENDED = tuple(state.value for state in FINISHED)
START, DEADLINE = 1_000, 2_000
MOST_ATTEMPTS = MOST_CRASHES = 2
MOST_LETTERS = 2
"""Users and rescuers send no more while so many letters are on their way."""

ENDS = ("succeed", "fail", "fail for good", "give back")
OUTCOMES = frozenset({*ENDS, "stop", "crash alone", "crash among others"})
TROUBLES = ("ask", "lapse", "crash", "lose")
LOST = "and the answer is lost"
LATER = "and the answer is on its way"

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
    OLDER_FORGOTTEN = "only the last claim is answered again, the one before it with nothing"
    OLDER_SETS_BACK = "the older of two claims, when it is repeated, becomes the last one again"
    ANSWER_TAKEN_TWICE = "an answer that was given up for lost is taken, too, when it comes after the repeated one"


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


class Ask(NamedTuple):
    """A claim whose answer the worker has not got. `where`: it is `sent`, the answer with its runs is `coming`, or one
    of both was `lost`."""

    claim: int
    where: str
    runs: tuple[Letter, ...] = ()


class Worker(NamedTuple):
    """`first`: the claims below it were made under ids that are retired. `last`: the latest claim. `made`: the latest
    that the store has made. `asking`: those without an answer, at most two."""

    alive: bool = True
    lease: str = "live"
    first: int = 1
    last: int = 0
    made: int = 0
    asking: tuple[Ask, ...] = ()
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
    """`keyed`: both jobs have the same unique key. `deadline`: they have to be started by `DEADLINE`. `in_flight`: how
    many claims of a worker may be without an answer."""

    jobs: int = 2
    keyed: bool = False
    deadline: bool = False
    in_flight: int = 1
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


def with_worker(world: World, w: int, **fields: object) -> World:
    return world._replace(workers=put(world.workers, w, world.workers[w]._replace(**fields)))
