"""What the loop monitor says of code that blocks the event loop, or the whole interpreter."""

import asyncio
import ctypes
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from async_job.worker.loop_monitor import LoopMonitor

pytestmark = pytest.mark.realtime

AFTER = 0.2
BLOCK = 1.0


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
    ("blocking", "own"), [(block_the_loop, False), (block_the_loop, True), (hold_the_interpreter, True)]
)
async def test_a_blocked_loop_is_told_once_with_its_stack_and_how_long_it_was(
    blocking: Callable[[], None], own: bool
) -> None:
    lines = await said_while(blocking, times=2, own=own)
    assert len(lines) == 4
    for begun, ended in (lines[:2], lines[2:]):
        assert blocking.__name__ in begun["stack"]
        assert begun["log_level"] == "warning"
        assert begun["seconds"] >= AFTER
        assert ended["blocked_seconds"] >= BLOCK


async def test_zero_is_never() -> None:
    assert not await said_while(block_the_loop, after=0)
