"""What a request costs the server in Python, counted in calls, and that it leaves no garbage. No clock is read."""

import gc
from collections.abc import AsyncIterator

import pytest

from support.calls import Calls
from support.web import Site, make_jobs, serve

IN_A_ROW = 50
SEEN = (90, 70)
"""Functions of the package entered and built-in functions called by them, a `POST /start-job` on a store in memory,
with CPython 3.11. What the other stores add is counted in `tests/unit/test_python_costs.py`."""
SLACK = 1.1

START = b"POST /start-job HTTP/1.1\r\nHost: localhost\r\n"
REQUESTS = (START + b"\r\n") * (IN_A_ROW - 1) + START + b"Connection: close\r\n\r\n"


@pytest.fixture
async def warm() -> AsyncIterator[Site]:
    """A server that has answered such requests before."""
    async with serve(make_jobs("memory://")) as site:
        answers = await site.exchange(REQUESTS)
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == IN_A_ROW
        yield site


async def test_calls_of_a_start(warm: Site) -> None:
    calls = Calls()
    calls.start()
    await warm.exchange(REQUESTS)
    calls.stop()
    entered, outside = SEEN
    assert calls.entered <= IN_A_ROW * entered * SLACK, calls
    assert calls.outside <= IN_A_ROW * outside * SLACK, calls


async def test_a_request_leaves_nothing_that_only_the_garbage_collector_finds(warm: Site) -> None:
    """The server has it look seldom."""
    gc.collect()
    gc.disable()
    try:
        await warm.exchange(REQUESTS)
        assert gc.collect() < IN_A_ROW
    finally:
        gc.enable()
