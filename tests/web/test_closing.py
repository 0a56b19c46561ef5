"""Nobody is kept waiting by a server that is about to stop."""

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from async_job.web.closing import Closing


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What a server's own handler of SIGTERM hears."""
    heard: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, handle)
    yield heard
    signal.signal(signal.SIGTERM, before)


async def start(closing: Closing) -> asyncio.Task[None]:
    waiting = asyncio.create_task(closing.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    return waiting


async def test_all_who_wait_are_let_go_and_nobody_waits_after_that() -> None:
    closing = Closing()
    waiting = [await start(closing), await start(closing)]
    closing.set()
    await asyncio.gather(*waiting)
    await closing.wait()


def test_another_loop_is_another_server() -> None:
    closing = Closing()

    async def close() -> None:
        waiting = await start(closing)
        closing.set()
        await waiting

    asyncio.run(close())
    asyncio.run(close())


async def test_a_signal_is_noted_and_passed_on_once(heard: list[int]) -> None:
    one, other = Closing(heed_signals=True), Closing(heed_signals=True)
    waiting = [await start(closing) for closing in (one, other, one, other)]
    signal.raise_signal(signal.SIGTERM)
    await asyncio.gather(*waiting)
    assert heard == [signal.SIGTERM]


async def test_signals_are_left_alone_until_somebody_waits(heard: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    closing = Closing(heed_signals=True)
    assert signal.getsignal(signal.SIGTERM) is before
    unheeding = await start(Closing())
    assert signal.getsignal(signal.SIGTERM) is before
    waiting = await start(closing)
    assert signal.getsignal(signal.SIGTERM) is not before
    for task in (unheeding, waiting):
        task.cancel()


async def test_a_server_without_handlers_just_ends() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        waiting = await start(Closing(heed_signals=True))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        waiting.cancel()
    finally:
        signal.signal(signal.SIGTERM, before)
