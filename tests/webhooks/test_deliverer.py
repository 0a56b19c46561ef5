"""The loop that sends what is due, and what it costs while nothing is."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from async_job.core.delivery import DeliveryState
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.deliveries import find
from async_job.webhooks.endpoints import Endpoints
from async_job.worker.contact import Contact
from async_job.worker.deliverer import AT_ONCE, keep_delivering
from async_job.worker.lookout import Lookout
from support.jobs import end
from support.receiver import Receiver, answering
from support.until import until

pytestmark = pytest.mark.realtime

EVERY = 0.02


@asynccontextmanager
async def delivering(store: Store, settings: Settings) -> AsyncIterator[None]:
    contact = Contact(settings.lease, store.now)
    lookout = Lookout(store, contact, every=EVERY)
    loops = [
        asyncio.create_task(loop)
        for loop in (lookout.run(), keep_delivering(store, settings, contact, lookout, every=EVERY))
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)
        assert all(loop.cancelled() for loop in loops)


async def wait_for(store: Store, job_id: str, state: DeliveryState) -> None:
    for _ in range(round(30 / EVERY)):
        if [one.state for one in await find(store, job_id)] == [state]:
            return
        await asyncio.sleep(EVERY)
    raise AssertionError(f"the delivery of {job_id} is not {state}")


async def test_sends_what_is_due_and_what_comes_later(store: Store, settings: Settings, receiver: Receiver) -> None:
    await Endpoints(store, settings).add("hook", receiver.url)
    await end(store, "a", webhook="hook")
    async with delivering(store, settings):
        await wait_for(store, "a", DeliveryState.DELIVERED)
        await end(store, "b", webhook="hook")
        await wait_for(store, "b", DeliveryState.DELIVERED)
    assert len(receiver.received) == 2


async def test_more_than_are_sent_at_once(store: Store, settings: Settings, receiver: Receiver) -> None:
    count = 2 * AT_ONCE + 7
    await Endpoints(store, settings).add("hook", receiver.url)
    await end(store, *(f"{n:03}" for n in range(count)), webhook="hook")
    async with delivering(store, settings):
        await until(lambda: len(receiver.received) == count)
        for n in range(count):
            await wait_for(store, f"{n:03}", DeliveryState.DELIVERED)
    assert len({received.id for received in receiver.received}) == count
    assert len(receiver.received) == count


async def test_a_receiver_that_keeps_silent_holds_up_no_other(
    store: Store, settings: Settings, receiver: Receiver
) -> None:
    async def keep_silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with Receiver(keep_silent).serving() as silent:
        await Endpoints(store, settings).add("silent", silent.url)
        await Endpoints(store, settings).add("hook", receiver.url)
        await end(store, "a", webhook="silent")
        async with delivering(store, settings):
            await silent.arrived.wait()
            await end(store, "b", webhook="hook")
            await wait_for(store, "b", DeliveryState.DELIVERED)
            assert [one.state for one in await find(store, "a")] == [DeliveryState.PENDING]


async def test_two_loops_send_each_once(store: Store, settings: Settings, receiver: Receiver) -> None:
    await Endpoints(store, settings).add("hook", receiver.url)
    await end(store, *(f"{n:03}" for n in range(50)), webhook="hook")
    async with delivering(store, settings), delivering(store, settings):
        for n in range(50):
            await wait_for(store, f"{n:03}", DeliveryState.DELIVERED)
    assert len(receiver.received) == len({received.id for received in receiver.received}) == 50


async def test_goes_on_after_a_failure(store: Store, settings: Settings) -> None:
    async with Receiver(answering(500), answering(200)).serving() as receiver:
        await Endpoints(store, settings).add("hook", receiver.url)
        await end(store, "a", webhook="hook")
        async with delivering(store, settings):
            await until(lambda: receiver.received)
            await end(store, "b", webhook="hook")
            await wait_for(store, "b", DeliveryState.DELIVERED)
    assert [one.state for one in await find(store, "a")] == [DeliveryState.PENDING]


async def test_what_it_takes_to_send_is_not_imported_before() -> None:
    """By the supervisor, which is to stay small."""
    code = """
import asyncio, sys
import async_job.worker.supervisor
from async_job.settings import Settings
from async_job.store.memory.store import MemoryStore
from async_job.worker.contact import Contact
from async_job.worker.deliverer import keep_delivering
from async_job.worker.lookout import Lookout

async def main():
    store = MemoryStore()
    try:
        async with asyncio.timeout(0.2):
            contact = Contact(15, store.now)
            lookout = Lookout(store, contact, every=0.01)
            await asyncio.gather(lookout.run(), keep_delivering(store, Settings(), contact, lookout))
    except TimeoutError:
        print(*sorted({"httpcore", "httpx", "cryptography", "ssl"} & set(sys.modules)))

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE, env={**os.environ, "ASYNC_JOB_CHILD_TEST": "1"}
    )
    out, _ = await process.communicate()
    assert set(out.decode().split()) <= {"ssl"}, "asyncio brings ssl along; nothing else may come"
