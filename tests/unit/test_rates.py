"""How fast queues move, and what that says about waiting."""

import asyncio

from async_job.clock import ManualClock
from async_job.rates import Rates
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import ClaimId
from support.jobs import make_job, make_worker


class Queue:
    """A queue that a worker takes from, with those who look at it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.rates = Rates()
        self._claims = 0

    async def fill(self, n: int) -> None:
        await self.store.enroll(make_worker(), 10**9)
        await self.store.submit([make_job(self.clock.now()) for _ in range(n)])

    async def take(self, n: int) -> None:
        self._claims += 1
        await self.store.claim(ClaimId("w", self._claims), ["default"], n)

    async def pass_time(self, seconds: float, taken: int = 0) -> None:
        if taken:
            await self.take(taken)
        self.clock.advance(seconds)
        await self.rates.look(self.store)


async def test_nothing_is_said_before_it_was_seen() -> None:
    queue = Queue()
    assert queue.rates.wait("default", 0) is None
    await queue.fill(100)
    await queue.pass_time(0)
    assert queue.rates.rate("default") is None
    await queue.pass_time(5)
    # Nobody has started anything: that may be for ever.
    assert queue.rates.wait("default", 0) is None


async def test_the_rate_is_that_of_a_queue_with_a_backlog() -> None:
    queue = Queue()
    await queue.fill(100)
    await queue.pass_time(0)
    await queue.pass_time(2, taken=20)
    await queue.pass_time(2, taken=40)
    assert queue.rates.rate("default") == 15
    assert queue.rates.wait("default", 29) == 2
    # While it is empty, jobs go as fast as they come, which says nothing.
    await queue.pass_time(1, taken=40)
    await queue.pass_time(10)
    assert queue.rates.rate("default") == 15


async def test_what_is_a_minute_ago_is_forgotten() -> None:
    queue = Queue()
    await queue.fill(1000)
    await queue.pass_time(0)
    await queue.pass_time(1, taken=100)
    for _ in range(60):
        await queue.pass_time(1, taken=2)
    assert queue.rates.rate("default") == 2


async def test_a_paused_queue_lets_nobody_hope() -> None:
    queue = Queue()
    await queue.fill(100)
    await queue.pass_time(0)
    await queue.pass_time(1, taken=10)
    await queue.store.administration.pause("default")
    await queue.pass_time(1)
    assert queue.rates.wait("default", 0) is None


async def test_a_clock_that_is_set_back_begins_anew() -> None:
    queue = Queue()
    await queue.fill(100)
    await queue.pass_time(0)
    await queue.pass_time(1, taken=10)
    await queue.pass_time(-3600)
    assert queue.rates.rate("default") is None
    await queue.pass_time(1, taken=5)
    assert queue.rates.rate("default") == 5


async def test_who_asks_at_once_shares_one_look() -> None:
    queue = Queue()
    await queue.fill(1)
    looks = await asyncio.gather(*(queue.rates.look(queue.store) for _ in range(50)))
    assert all(look is looks[0] for look in looks)
    queue.clock.advance(0.999)
    assert await queue.rates.look(queue.store) is looks[0]
    queue.clock.advance(0.001)
    assert await queue.rates.look(queue.store) is not looks[0]
