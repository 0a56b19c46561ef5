"""The beat: how often what runs say is stored."""

import asyncio
from collections.abc import Sequence
from itertools import count

import pytest

from async_job.clock import ManualClock
from async_job.core.job import LogLine, Progress
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import Answer, Beat
from async_job.worker import beat
from async_job.worker.active import BYTES_WAITING, LINES_WAITING, LONGEST_LINE, LOOKED_AFTER, ActiveRun
from support.jobs import run


class Ended(Exception):
    """Enough time has passed."""


class Counted(MemoryStore):
    """Says when it was told something, in the time that the beat has slept."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.told: list[tuple[int, float | None]] = []

    async def report(self, beats: Sequence[Beat]) -> list[Answer]:
        self.told += [(self.now(), None if said.progress is None else said.progress.current) for said in beats]
        return await super().report(beats)


async def beats_of(monkeypatch: pytest.MonkeyPatch, interval: float, *, talks: bool) -> list[tuple[int, float | None]]:
    """When the store was told what within two seconds, in ms from the start."""
    clock = ManualClock()
    begin, store, steps = clock.now(), Counted(clock), count(1)
    (job,) = await run(store, "a")
    active = ActiveRun(job, store.now)

    async def sleep(seconds: float) -> None:
        if clock.now() - begin >= 2000:
            raise Ended
        clock.advance(seconds)
        if talks:
            for _ in range(3):
                active.progress(Progress(next(steps)))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(Ended):
        await beat.Heart(store, [active], interval).run()
    return [(at - begin, progress) for at, progress in store.told]


@pytest.mark.parametrize("interval", [0.05, 0.25, 0.5, 1.0])
async def test_the_last_progress_of_each_interval_is_stored(monkeypatch: pytest.MonkeyPatch, interval: float) -> None:
    told = await beats_of(monkeypatch, interval, talks=True)
    assert told == [(round(1000 * interval * n), 3 * n) for n in range(1, round(2 / interval) + 1)]


@pytest.mark.parametrize("interval", [0.05, 0.25, 0.3, 1.0])
async def test_a_silent_run_is_heard_of_about_once_a_second(monkeypatch: pytest.MonkeyPatch, interval: float) -> None:
    told = await beats_of(monkeypatch, interval, talks=False)
    assert [round(at / 1000) for at, _ in told] == [1, 2]


def a_run() -> ActiveRun:
    store = MemoryStore(ManualClock())
    return ActiveRun(asyncio.run(run(store, "a"))[0], store.now)


def taken(active: ActiveRun) -> list[str]:
    return [line.message for line in active.take()[1]]


def test_of_many_lines_that_wait_the_newest_are_kept_and_the_gap_is_told() -> None:
    active, said = a_run(), [str(n) for n in range(5 * LINES_WAITING + 7)]
    for line in said:
        active.log(line)
    gap, *kept = taken(active)
    assert kept == said[-LINES_WAITING:]
    assert gap == f"[at least {len(said) - LINES_WAITING} lines were dropped here: too many at once]"
    active.log("next")
    assert taken(active) == ["next"]


@pytest.mark.parametrize("letter", ["a", "\N{SNOWMAN}"])
def test_the_text_that_waits_is_limited(letter: str) -> None:
    active, line = a_run(), letter * LONGEST_LINE
    for _ in range(2 * LOOKED_AFTER):
        active.log(line)
    gap, *kept = taken(active)
    assert kept == [line] * (BYTES_WAITING // len(line.encode()))
    assert f" {2 * LOOKED_AFTER - len(kept)} lines " in gap


def test_beats_that_come_back_do_not_pile_up() -> None:
    active = a_run()
    for n in range(3):
        for _ in range(LINES_WAITING):
            active.log(str(n))
        active.give_back(active.beat())
    active.log("last")
    gap, *kept = taken(active)
    assert kept == ["2"] * (LINES_WAITING - 1) + ["last"]
    assert "lines were dropped here" in gap


def test_few_lines_that_come_back_stay_in_their_order() -> None:
    active = a_run()
    active.log("first")
    said = active.beat()
    active.log("second")
    active.give_back(said)
    assert active.take()[1] == tuple(LogLine(active.job.updated_at, line) for line in ("first", "second"))
