"""The watchdog: kills processes whose time is up, that take too much memory, or that give no sign of life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from async_job.worker.memory import resident
from async_job.worker.verdict import Killed
from async_job.worker.watched import WatchedProcess

TICK: Final = 0.1
ASLEEP: Final = 1.0
"""After a tick that took so many seconds longer, this program itself was asleep (stopped, suspended, starved), and
its children perhaps with it: they get as long to say that they live, and to end what is overdue by themselves."""


async def keep_watch(processes: Callable[[], Iterable[WatchedProcess]], stall_timeout: float) -> None:
    """The loop; ends only by cancellation."""
    watched_at = time.monotonic()
    patient_until = watched_at
    while True:
        await asyncio.sleep(TICK)
        now = time.monotonic()
        asleep = now - watched_at - TICK
        watched_at = now
        if asleep > ASLEEP:
            patient_until = now + ASLEEP
            for process in processes():
                process.heard_at = now
        for process in processes():
            if process.memory_limit and resident(process.pid) > process.memory_limit:
                process.kill(Killed.MEMORY)
            elif now >= patient_until:
                _look_at(process, now, stall_timeout)


def _look_at(process: WatchedProcess, now: float, stall_timeout: float) -> None:
    if process.deadline is not None and now >= process.deadline.at:
        process.kill(Killed.DEADLINE)
    elif now - process.heard_at > stall_timeout:
        process.kill(Killed.STALLED)
