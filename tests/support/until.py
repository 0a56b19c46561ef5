"""Waiting for what another process does."""

import asyncio
from collections.abc import Callable

PAUSE = 0.01


async def until(condition: Callable[[], object], timeout: float = 30) -> None:
    """Returns when the condition holds; it is asked again and again, and fails the test after ``timeout`` seconds."""
    for _ in range(round(timeout / PAUSE)):
        if condition():
            return
        await asyncio.sleep(PAUSE)
    raise AssertionError(f"not within {timeout} s")
