"""How long to wait before the next attempt."""

from __future__ import annotations

from typing import Final
from zlib import crc32

FIRST: Final = 1_000
LONGEST: Final = 300_000
SPREAD: Final = 0.2


def delay(job_id: str, attempt: int, failures: int) -> int:
    """Milliseconds to wait after the given number of failures (1 or more): 1 s, 2 s, 4 s … up to 5 minutes.

    Each is spread by up to a fifth either way, so that jobs that failed together do not come back together. The
    spread comes from the id and the attempt, not from chance: the same question has the same answer.
    """
    plain: int = min(LONGEST, FIRST * 2 ** min(failures - 1, 30))
    position = crc32(f"{job_id}/{attempt}".encode()) / 0xFFFF_FFFF
    return round(plain * (1 + SPREAD * (2 * position - 1)))
