"""Many waits at once share the server, and take no other call's place."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from async_job import Jobs
from async_job.client import connecting, waiting
from async_job.client.steps import SLACK, Call, Lost, Pause
from async_job.client.verbs import Verbs
from async_job.client.waiting import Waits
from async_job.core.submission import Options
from async_job.errors import ServerError
from support.clients import Asker
from support.proxy import Proxy
from support.until import until
from support.web import Site, serve

MANY = 120
"""More than calls at once that are answered at once, and than connections that httpx allows unless told."""
GUID = "01a20bfa-0000-7000-8000-000000000000"
LATER = Options(delay=1000)


@pytest.fixture
async def site(jobs: Jobs) -> AsyncIterator[Site]:
    # Each wait of the client that blocks takes a thread.
    with ThreadPoolExecutor(2 * MANY) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        async with serve(jobs) as site:
            yield site


async def test_many_waits_are_held_at_once_and_hold_up_no_other_call(
    site: Site, jobs: Jobs, connect: Callable[..., Asker]
) -> None:
    client = connect(f"http://127.0.0.1:{site.port}")
    handles = [await jobs.submit("add", b'{"a":1}', LATER) for _ in range(MANY)]
    waits = [asyncio.create_task(client.ask("wait", handle.id)) for handle in handles]
    await until(lambda: len(site.server.server_state.connections) >= MANY)
    for handle in handles:
        await client.ask("cancel", handle.id)
    assert {job.state for job in await asyncio.gather(*waits)} == {"cancelled"}


async def test_waits_beyond_those_that_are_held_ask_now_and_then(
    site: Site, jobs: Jobs, connect: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_HELD", 2)
    client = connect(f"http://127.0.0.1:{site.port}", patience=0)
    handles = [await jobs.submit("add", b'{"a":1}', LATER) for _ in range(6)]
    waits = [asyncio.create_task(client.ask("wait", handle.id)) for handle in handles]
    await until(lambda: len(client.client._verbs._waits._all) == len(waits))
    # The last come first: the places are taken by others then.
    for handle, wait in reversed(list(zip(handles, waits, strict=True))):
        await jobs.cancel(handle.id)
        assert (await wait).state == "cancelled"


async def test_calls_beyond_those_at_once_queue(
    site: Site, jobs: Jobs, connect: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "SHORT_CALLS", 2)
    client = connect(f"http://127.0.0.1:{site.port}", patience=0)
    handles = await asyncio.gather(*[client.ask("submit", "add", {"a": n}, LATER) for n in range(20)])
    assert len({handle.id for handle in handles}) == 20
    # The rest are the fixtures' own.
    assert len(site.server.server_state.connections) <= 2


async def test_a_wait_that_is_given_up_makes_room(site: Site, jobs: Jobs, connect: Callable[..., Asker]) -> None:
    client = connect(f"http://127.0.0.1:{site.port}", patience=0)
    waits: Waits = client.client._verbs._waits
    handle = await jobs.submit("add", b'{"a":1}', LATER)
    waiting = asyncio.create_task(client.ask("wait", handle.id, timeout=20))
    await until(lambda: waits._held)
    waiting.cancel()
    await jobs.cancel(handle.id)
    await until(lambda: not waits._all and not waits._held)


def test_the_first_waits_are_held_and_keep_that() -> None:
    waits = Waits()
    with waits.one() as last:
        with waits.one() as first:
            assert waits.may_hold(first)
            others = [waits.one() for _ in range(waiting.MOST_HELD)]
            held = [waits.may_hold(other.__enter__()) for other in others]
            assert held == [True] * (waiting.MOST_HELD - 1) + [False]
            assert waits.may_hold(first)
            assert not waits.may_hold(last)
        assert waits.may_hold(last)
        assert waits.pause == (waiting.MOST_HELD + 1) / waiting.ASKED_A_SECOND


def test_few_waits_ask_soon_again() -> None:
    waits = Waits()
    with waits.one():
        assert waits.pause == waiting.SHORTEST_PAUSE


@pytest.mark.parametrize("verb", ["wait", "result"])
async def test_the_timeout_of_a_wait_counts_for_a_server_that_is_gone(connect: Callable[..., Asker], verb: str) -> None:
    client = connect("http://127.0.0.1:9", patience=1000)
    async with asyncio.timeout(30):
        with pytest.raises(ServerError, match="no server answers"):
            await client.ask(verb, GUID, timeout=0.3)


@pytest.mark.realtime
async def test_the_timeout_of_a_wait_counts_for_a_server_that_hangs(
    site: Site, jobs: Jobs, connect: Callable[..., Asker]
) -> None:
    handle = await jobs.submit("add", b'{"a":1}', LATER)
    async with Proxy(site.port) as proxy, asyncio.timeout(30):
        client = connect(f"http://127.0.0.1:{proxy.port}", patience=1000)
        proxy.hold()
        with pytest.raises(ServerError, match="no server answers"):
            await client.ask("wait", handle.id, timeout=1.2)


def test_a_long_poll_whose_answer_was_lost_is_repeated_for_the_time_that_is_left() -> None:
    steps = Verbs("http://127.0.0.1:9", patience=30).wait(GUID, timeout=15)
    call = next(steps)
    assert isinstance(call, Call)
    assert call.headers == {"Prefer": f"wait={call.hold}"}
    assert 0 < call.hold <= 15 < call.within <= 15 + SLACK
    assert isinstance(steps.send(Lost("cut", sent=True)), Pause)
    again = steps.send(None)
    assert isinstance(again, Call)
    assert (again.path, again.headers, again.hold) == (call.path, {}, 0)


def test_a_call_that_nobody_waits_long_for_is_given_up() -> None:
    timeout = connecting.request_options(Call("GET", "/", hold=20, within=3))["timeout"]
    assert timeout.as_dict() == {"connect": 3, "read": 3, "write": 3, "pool": 3}
    timeout = connecting.request_options(Call("GET", "/", hold=20))["timeout"]
    assert timeout.as_dict() == {"connect": 10, "read": 30, "write": 10, "pool": 10}
