"""How this process gets on with the store: whether it can be reached, and whether others may be called dead."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from async_job.errors import StoreError
from async_job.logs import get_logger, traceback_of

PARTED: Final = 1.0
"""Seconds by which two clocks may part."""

log = get_logger()


def elapsed() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine is suspended (where there is one)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Contact:
    """``with contact:`` stands around what asks the store. An error ends the block, and is noted instead of raised: it
    is said once that the store is away and once that it is back.

    Who has just come, or was cut off or asleep, must not conclude from a lapsed lease that its holder is dead: the
    holder may have been cut off too. So ``steady`` holds only after one whole ``lease`` (seconds) without any of that,
    in which all others had the time to renew. ``now`` is the store's time, in milliseconds.
    """

    def __init__(self, lease: float, now: Callable[[], int], elapsed: Callable[[], float] = elapsed) -> None:
        self.lease = lease
        self._now = now
        self._elapsed = elapsed
        self._away_since: float | None = None
        self._steady_from = elapsed() + lease
        self._looked_at: float | None = None
        self._mark: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        match error:
            case None:
                self.back()
            case StoreError():
                self.away(error)
            case Exception():
                log.error("an unforeseen error, going on", exception=traceback_of(error))
            case _:
                return False
        return True

    def away(self, error: StoreError) -> None:
        """The store could not do what it was asked."""
        self.doubt()
        if self._away_since is None:
            self._away_since = self._elapsed()
            log.warning("the store does not answer, trying again", error=str(error))

    def back(self) -> None:
        """The store did what it was asked."""
        if self._away_since is not None:
            log.info("the store answers again", after=round(self._elapsed() - self._away_since, 1))
            self._away_since = None

    def doubt(self) -> None:
        """For one lease from now, a lapsed lease says nothing."""
        self._steady_from = self._elapsed() + self.lease

    def steady(self) -> bool:
        """Whether a lease that has lapsed means that its holder is gone. To be asked more often than once a lease."""
        moment = self._elapsed()
        slept = self._looked_at is not None and moment - self._looked_at > self.lease
        self._looked_at = moment
        if self._clocks_parted(moment) or slept:
            log.warning("this process was asleep, or a clock was set: nobody's jobs are taken over for one lease")
            self.doubt()
        return moment >= self._steady_from

    def _clocks_parted(self, moment: float) -> bool:
        """Compares the store's clock with our own, over the last lease."""
        now = self._now()
        if self._mark is None:
            self._mark = moment, now
        passed, passed_there = moment - self._mark[0], (now - self._mark[1]) / 1000
        parted = abs(passed - passed_there) > PARTED
        if parted or passed > self.lease:
            self._mark = moment, now
        return parted
