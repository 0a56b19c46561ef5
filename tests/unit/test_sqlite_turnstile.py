"""Whoever writes to the SQLite file seldom is not starved by those who write all the time. Turns are counted."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from async_job.store.sqlite.turnstile import Turnstile


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        os.sched_yield()


def is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_whoever_waits_goes_before_the_one_who_just_went(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    busy, polite = Turnstile(path), Turnstile(path)
    turns: list[str] = []

    def once() -> None:
        with polite.turn():
            turns.append("polite")

    waiting = Thread(target=once)
    with busy.turn():
        turns.append("busy")
        waiting.start()
        until(lambda: is_locked(Path(f"{path}-queue")))
    with busy.turn():
        turns.append("busy")
    waiting.join()
    assert turns == ["busy", "polite", "busy"]
    busy.close()
    polite.close()


@pytest.mark.realtime
def test_beside_two_busy_writers_a_third_gets_its_share(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    ended = Event()
    turns = 0

    def go_round() -> None:
        nonlocal turns
        turnstile = Turnstile(path)
        while not ended.is_set():
            with turnstile.turn():
                turns += 1
        turnstile.close()

    busy = [Thread(target=go_round) for _ in range(2)]
    for thread in busy:
        thread.start()
    until(lambda: turns > 20)
    polite = Turnstile(path)
    others = []
    for _ in range(100):
        # From the moment at which it stands in the queue, at most one that came before it has its turn.
        fcntl.flock(polite._queue, fcntl.LOCK_EX)
        arrived = turns
        fcntl.flock(polite._turn, fcntl.LOCK_EX)
        others.append(turns - arrived)
        fcntl.flock(polite._queue, fcntl.LOCK_UN)
        fcntl.flock(polite._turn, fcntl.LOCK_UN)
    ended.set()
    for thread in busy:
        thread.join()
    polite.close()
    assert max(others) <= 1


def fail_in(turnstile: Turnstile, lock: Path) -> None:
    with turnstile.turn():
        assert is_locked(lock)
        raise ZeroDivisionError


def test_a_turn_ends_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    turnstile = Turnstile(path)
    with pytest.raises(ZeroDivisionError):
        fail_in(turnstile, Path(f"{path}-turn"))
    assert not is_locked(Path(f"{path}-turn"))
    assert not is_locked(Path(f"{path}-queue"))
    turnstile.close()
    turnstile.close()
