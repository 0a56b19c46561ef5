"""The server's time between two of its answers."""

from __future__ import annotations

import time
from typing import Final

from async_job.clock import Clock

SLOWEST: Final = 2_000
"""Clocks are slewed by at most a part in 2,000; our own count is held back by as much."""


CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed() -> float:
    """Seconds that pass also while the machine sleeps, where the system counts them."""
    return time.clock_gettime(CLOCK)


class ServerTime:
    """The last time the server gave, plus what has passed here since; never ahead of the server's own.

    An answer that was asked for at ``asked`` left the server at some moment since then, so that the server's clock
    lies between the given time and that plus the time of the trip. What we have is kept if it lies there too.
    """

    def __init__(self, clock: Clock | None) -> None:
        self.clock = clock
        self._time = 0.0
        self._at = 0.0

    def now(self) -> int:
        return self.clock.now() if self.clock is not None else int(self._estimate(elapsed()))

    def given(self) -> int | None:
        """What scripts are told; ``None``: they look at the server's clock."""
        return None if self.clock is None else self.clock.now()

    def seen(self, server: int, asked: float) -> None:
        at = elapsed()
        latest = server + (at - asked) * 1000
        if not server <= self._estimate(at) <= latest:
            self._time, self._at = float(server), at

    def _estimate(self, at: float) -> float:
        passed = (at - self._at) * 1000
        return self._time + passed - passed / SLOWEST
