"""Where time enters. Times are whole milliseconds since 1970 in UTC; durations are milliseconds too."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """The wall clock, in milliseconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told to, for tests.

    >>> clock = ManualClock(1_000)
    >>> clock.advance(2.5)
    >>> clock.now()
    3500
    """

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves the clock on by ``seconds`` (negative: back, as a clock that is set does)."""
        self._now += round(seconds * 1000)
