"""How many requests a key may send: a token bucket for each key, in each process on its own."""

from __future__ import annotations

from math import ceil
from typing import Final

from msgspec import Struct

from async_job.access.keys import ApiKey

WINDOW: Final = 60
"""Seconds to which a key's rate applies; a bucket holds what comes in that time."""
PRICE: Final = WINDOW * 1000


class Allowance(Struct, frozen=True):
    """What is left to a key. ``pause``: seconds until there is one request more, 0 if this one was ``granted``."""

    granted: bool
    rate: int
    left: int
    pause: int

    @property
    def policy(self) -> bytes:
        """The value of ``RateLimit-Policy``."""
        return b'"key";q=%d;w=%d' % (self.rate, WINDOW)

    @property
    def state(self) -> bytes:
        """The value of ``RateLimit``: what is left, and in how many seconds all is there again."""
        return b'"key";r=%d;t=%d' % (self.left, ceil((self.rate - self.left) * WINDOW / self.rate))


class Bucket(Struct):
    """A request costs ``PRICE``, a millisecond gives as much as the rate: whole numbers, so nothing is lost."""

    filled: int
    at: int


class RateLimiter:
    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def take(self, key: ApiKey, now: int) -> Allowance | None:
        """Counts a request of the key at ``now`` (milliseconds); ``None``: it has no limit."""
        rate = key.rate
        if rate is None:
            return None
        bucket = self._buckets.setdefault(key.id, Bucket(rate * PRICE, now))
        # A clock that was set back gives nothing, and takes nothing.
        bucket.filled = min(rate * PRICE, bucket.filled + max(0, now - bucket.at) * rate)
        bucket.at = now
        granted = bucket.filled >= PRICE
        if granted:
            bucket.filled -= PRICE
        pause = 0 if granted else ceil((PRICE - bucket.filled) / (rate * 1000))
        return Allowance(granted, rate, bucket.filled // PRICE, pause)
