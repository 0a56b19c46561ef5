"""How many jobs a worker takes and runs: never more than it has slots; while runs are short, some ahead."""

import asyncio
from contextvars import ContextVar
from typing import Any

import msgspec
import pytest

from async_job.core.job import Job
from async_job.core.lifecycle import NotStarted, Outcome, Succeeded
from async_job.store.protocol import BATCH
from async_job.worker import slots
from async_job.worker.active import ActiveRun
from async_job.worker.executor import Executor
from async_job.worker.slots import AHEAD, Slots
from support.jobs import make_job
from support.until import until

SLOTS = 3
OF_A_RUN = ContextVar("OF_A_RUN", default="")


class Worker:
    """Slots whose runs go on until they are let go, and what was told of them."""

    def __init__(self, slots: int = SLOTS) -> None:
        self.running: dict[str, asyncio.Future[bytes]] = {}
        self.told: dict[str, Outcome | None] = {}
        executor = Executor({"work": object()}, self._run, lambda: 0)  # type: ignore[dict-item]
        self.slots = Slots(executor, slots, lambda: 0, self._note, lambda: None)

    async def _run(self, _: Any, active: ActiveRun) -> bytes:
        self.running[active.job.id] = asyncio.get_running_loop().create_future()
        try:
            return await self.running[active.job.id]
        finally:
            del self.running[active.job.id]

    def _note(self, active: ActiveRun, outcome: Outcome | None) -> None:
        self.told[active.job.id] = outcome

    async def put(self, ids: str) -> None:
        self.slots.put([held(id) for id in ids])
        await asyncio.sleep(0)

    async def end(self, *ids: str) -> None:
        for id in ids:
            self.running[id].set_result(b"1")
        for _ in range(3):
            await asyncio.sleep(0)

    def find(self, id: str) -> ActiveRun:
        [active] = [active for active in self.slots.active if active.job.id == id]
        return active


def held(id: str) -> Job:
    return make_job(0, id, type="work", token="w:1")


@pytest.fixture(autouse=True)
def every_run_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHORT", "AHEAD_TIME", "LONGEST_TURN"):
        monkeypatch.setattr(slots, name, 1e6)


async def test_no_more_run_than_there_are_slots_and_the_others_follow_in_order() -> None:
    worker = Worker()
    await worker.put("abcdef")
    assert [*worker.running] == ["a", "b", "c"]
    assert (worker.slots.taken, worker.slots.free) == (6, 0)
    await worker.end("b")
    assert [*worker.running] == ["a", "c", "d"]
    await worker.end("a", "c", "d")
    assert [*worker.running] == ["e", "f"]
    assert worker.told.keys() == set("abcd")
    assert all(isinstance(outcome, Succeeded) for outcome in worker.told.values())
    assert worker.slots.free == 1


async def test_after_a_stop_nothing_begins() -> None:
    worker = Worker(1)
    await worker.put("ab")
    worker.slots.stop()
    await worker.put("c")
    assert [*worker.running] == ["a"]
    assert worker.find("a").cancelled
    assert {id for id, outcome in worker.told.items() if isinstance(outcome, NotStarted)} == {"b", "c"}


async def test_a_run_begins_with_none_of_the_variables_that_another_has_set() -> None:
    found: dict[str, str] = {}

    async def run(_: Any, active: ActiveRun) -> bytes:
        found[active.job.id] = OF_A_RUN.get()
        OF_A_RUN.set(active.job.id)
        await asyncio.sleep(0)
        return b"1"

    executor = Executor({"work": object()}, run, lambda: 0)  # type: ignore[dict-item]
    OF_A_RUN.set("the worker's")
    alone = Slots(executor, 1, lambda: 0, lambda active, outcome: alone.active.discard(active), lambda: None)
    alone.put([held(id) for id in "abc"])
    await until(lambda: not alone.active)
    assert found == dict.fromkeys("abc", "the worker's")


async def test_the_time_of_the_one_that_follows_is_told_also_after_one_whose_own_had_stopped() -> None:
    worker = Worker(1)
    told: list[str] = []
    worker.slots._on_clock = lambda: told.append("clock")
    worker.slots.put([msgspec.structs.replace(held(id), timeout=1_000) for id in "ab"])
    await asyncio.sleep(0)
    # As one does that waits for a process.
    worker.find("a").stop_clock()
    told.clear()
    await worker.end("a")
    assert worker.find("b").hard_deadline is not None
    assert told


async def test_short_runs_are_followed_by_more() -> None:
    worker = Worker()
    assert worker.slots.capacity() == SLOTS
    await worker.put("ab")
    assert worker.slots.capacity() == SLOTS
    await worker.end("a")
    assert worker.slots.capacity() == SLOTS + AHEAD
    await worker.end("b")
    # One that has just ended, not two: what was before has been looked at.
    assert worker.slots.capacity() == SLOTS + AHEAD
    await worker.put("abcdef")
    await worker.end("a", "b", "c")
    await worker.end("d", "e", "f")
    assert worker.slots.capacity() == SLOTS + SLOTS * AHEAD


async def test_nothing_is_concluded_from_what_was_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    await worker.put("a")
    await worker.end("a")
    assert worker.slots.capacity() > SLOTS
    monkeypatch.setattr(slots, "PACE_KEPT", -1.0)
    assert worker.slots.capacity() == SLOTS


async def test_long_runs_are_followed_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "SHORT", 0.0)
    worker = Worker()
    await worker.put("abc")
    await worker.end("a", "b", "c")
    assert worker.slots.capacity() == SLOTS


@pytest.mark.parametrize(("count", "capacity"), [(100, BATCH), (BATCH + 5, BATCH + 5)])
async def test_there_is_a_most_of_jobs_ahead(count: int, capacity: int) -> None:
    worker = Worker(count)
    worker.slots.put([held(str(n)) for n in range(count)])
    await asyncio.sleep(0)
    await worker.end(*worker.running)
    assert worker.slots.capacity() == capacity


async def test_what_finds_no_slot_soon_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "LONGEST_HOLD", 0.0)
    worker = Worker()
    await worker.put("abcde")
    await until(lambda: worker.slots.taken == SLOTS)
    assert worker.told == {id: NotStarted("w:1") for id in "de"}
    assert worker.slots.capacity() == SLOTS
    await worker.end("a", "b", "c")
    assert not worker.running


@pytest.mark.parametrize(
    ("mark", "outcome"), [("cancel_asked", NotStarted("w:1")), ("lost", None), ("cancelled", NotStarted("w:1"))]
)
async def test_one_that_waits_is_stopped(mark: str, outcome: Outcome | None) -> None:
    worker = Worker()
    await worker.put("abcd")
    waiting = worker.find("d")
    if mark != "cancelled":
        setattr(waiting, mark, True)
    waiting.stop()
    assert worker.told == {"d": outcome}
    assert waiting.ended
    await worker.end("a")
    assert [*worker.running] == ["b", "c"]


async def test_runs_that_wait_for_nothing_end_before_anything_is_told() -> None:
    told: list[str] = []

    async def at_once(_: Any, active: ActiveRun) -> bytes:
        return b"1"

    executor = Executor({"work": object()}, at_once, lambda: 0)  # type: ignore[dict-item]
    worker = Slots(executor, 2, lambda: 0, lambda active, _: told.append(active.job.id), lambda: None)
    worker.put([held(id) for id in "abcdefg"])
    await worker.go_on()
    assert told == [*"abcdefg"]
    await worker.go_on()


async def test_one_that_is_stopped_between_two_turns_does_not_run() -> None:
    worker = Worker(1)
    await worker.put("ab")
    following = worker.find("b")
    worker.running["a"].set_result(b"1")
    await asyncio.sleep(0)
    assert isinstance(worker.told["a"], Succeeded)
    # It has its slot, and has not begun.
    assert not worker.running
    following.cancel_asked = True
    following.stop()
    await asyncio.sleep(0)
    assert not worker.running
    assert worker.told["b"] == NotStarted("w:1")


async def test_no_more_are_taken_ahead_than_will_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "AHEAD_TIME", 0.0)
    worker = Worker()
    await worker.put("abc")
    await worker.end("a", "b", "c")
    assert worker.slots.capacity() == SLOTS


async def test_outcomes_are_not_held_back_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "LONGEST_TURN", -1.0)
    worker = Worker()
    await worker.put("abc")
    await worker.slots.go_on()
    assert not worker.told
