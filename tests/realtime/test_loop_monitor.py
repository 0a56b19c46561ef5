"""What the loop monitor says of code that blocks the event loop, or the whole interpreter."""

import asyncio
import ctypes
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from async_job import Jobs, asgi
from async_job.worker.loop_monitor import LoopMonitor

pytestmark = pytest.mark.realtime

AFTER = 0.3
BLOCK = 0.7


def block_the_loop() -> None:
    time.sleep(BLOCK)


def hold_the_interpreter() -> None:
    ctypes.PyDLL(None).usleep(round(BLOCK * 1_000_000))


async def said_while(blocking: Callable[[], None], times: int = 1, after: float = AFTER, own: bool = True) -> list[Any]:
    with structlog.testing.capture_logs() as lines, LoopMonitor(after, own_process=own):
        for _ in range(times):
            await asyncio.sleep(0.3)
            blocking()
        await asyncio.sleep(0.3)
    return [line for line in lines if "event loop" in line["event"]]


@pytest.mark.parametrize(
    ("blocking", "own", "times"),
    [(block_the_loop, False, 2), (block_the_loop, True, 1), (hold_the_interpreter, True, 1)],
)
async def test_a_blocked_loop_is_told_once_with_its_stack_and_how_long_it_was(
    blocking: Callable[[], None], own: bool, times: int
) -> None:
    lines = await said_while(blocking, times, own=own)
    # A busy machine may hold the loop up for a moment, too.
    begun = [line for line in lines if blocking.__name__ in line.get("stack", "")]
    ended = [line for line in lines if line.get("blocked_seconds", 0) >= BLOCK]
    assert len(begun) == len(ended) == times
    assert {line["log_level"] for line in begun + ended} == {"warning"}
    assert min(line["seconds"] for line in begun) >= AFTER


async def test_the_loop_of_an_application_is_watched() -> None:
    jobs = Jobs(store="memory://", loop_warning=AFTER)
    with structlog.testing.capture_logs() as lines:
        async with asgi.lifespan(jobs):
            block_the_loop()
            await asyncio.sleep(0.3)
    assert any("block_the_loop" in line.get("stack", "") for line in lines)


async def test_zero_is_never() -> None:
    assert not await said_while(block_the_loop, after=0)
