"""What a client repeats happens once."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from async_job import Jobs, StoreUnavailable, asgi
from async_job.core.submission import Options
from async_job.errors import ServerError
from support.clients import Asker
from support.proxy import Proxy
from support.web import Site, serve

LATER = Options(delay=1000)


@pytest.fixture
async def proxy(site: Site) -> AsyncIterator[Proxy]:
    async with Proxy(site.port) as proxy:
        yield proxy


@pytest.fixture
def cut(proxy: Proxy, connect: Callable[..., Asker]) -> Asker:
    """A client whose connection goes through the proxy."""
    return connect(f"http://127.0.0.1:{proxy.port}", patience=10)


async def test_a_submit_whose_answer_is_lost_makes_one_job(cut: Asker, proxy: Proxy, jobs: Jobs) -> None:
    proxy.cut_next_reply(b"POST /v1/jobs")
    handle = await cut.ask("submit", "add", {"a": 1}, LATER)
    assert proxy.cuts == 1
    assert [job.id for job in (await jobs.find()).jobs] == [handle.id]


async def test_a_rerun_whose_answer_is_lost_makes_one_job(cut: Asker, proxy: Proxy, jobs: Jobs) -> None:
    first = await jobs.submit("add", b'{"a":1}', LATER)
    proxy.cut_next_reply(b"/rerun")
    again = await cut.ask("rerun", first.id)
    assert proxy.cuts == 1
    assert {job.id for job in (await jobs.find()).jobs} == {first.id, again.id}


async def test_a_cancel_whose_answer_is_lost(cut: Asker, proxy: Proxy, jobs: Jobs) -> None:
    handle = await jobs.submit("add", b'{"a":1}', LATER)
    proxy.cut_next_reply(b"/cancel")
    assert (await cut.ask("cancel", handle.id)).state == "cancelled"
    assert proxy.cuts == 1


async def test_a_retry_whose_answer_is_lost(cut: Asker, proxy: Proxy, jobs: Jobs) -> None:
    handle = await jobs.submit("hang", b"{}", LATER)
    await jobs.cancel(handle.id)
    proxy.cut_next_reply(b"/retry")
    assert (await cut.ask("retry", handle.id)).state in ("scheduled", "queued", "running")
    assert proxy.cuts == 1


async def test_a_delete_whose_answer_is_lost(cut: Asker, proxy: Proxy, jobs: Jobs) -> None:
    handle = await jobs.submit("hang", b"{}", LATER)
    await jobs.cancel(handle.id)
    proxy.cut_next_reply(b"DELETE ")
    await cut.ask("delete", handle.id)
    assert proxy.cuts == 1
    assert (await jobs.find()).jobs == []


async def test_a_wait_whose_connection_is_cut_goes_on(cut: Asker, proxy: Proxy, jobs: Jobs) -> None:
    handle = await jobs.submit("hang", b"{}")
    proxy.cut_next_reply(b"GET /v1/jobs")
    waiting = asyncio.create_task(cut.ask("wait", handle.id))
    await jobs.watch(handle.id, lambda job: job.state == "running", None)
    await jobs.cancel(handle.id)
    assert (await waiting).state == "cancelled"


async def test_a_server_that_is_not_there_yet_is_waited_for(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = connect(f"http://127.0.0.1:{port}", patience=30)
    submitting = asyncio.create_task(client.ask("submit", "add", {"a": 1}))
    await asyncio.sleep(0.3)
    assert not submitting.done()
    async with serve(jobs, worker=True, port=port):
        assert await client.ask("result", of=await submitting) == 2


class Busy:
    """In front of the application: answers some requests itself, as a server does that is too busy."""

    def __init__(self, app: ASGIApp, answers: Iterator[tuple[int, str]]) -> None:
        self._app = app
        self._answers = answers
        self.asked_at: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked_at.append(time.monotonic())
            for status, retry_after in self._answers:
                headers = [(b"retry-after", retry_after.encode())] if retry_after else []
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)


async def test_a_busy_server_is_asked_again(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    busy = Busy(asgi.app(jobs), iter([(503, ""), (429, ""), (502, ""), (504, "nonsense")]))
    async with serve(jobs, app=busy) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=30)
        await client.ask("submit", "add", {"a": 1})
    assert len(busy.asked_at) == 5
    assert len((await jobs.find()).jobs) == 1


@pytest.mark.realtime
async def test_it_is_asked_when_it_says(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    busy = Busy(asgi.app(jobs), iter([(429, "2")]))
    async with serve(jobs, app=busy) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=30)
        await client.ask("submit", "add", {"a": 1})
    first, second = busy.asked_at
    assert second - first >= 2


async def test_patience_ends(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    busy = Busy(asgi.app(jobs), iter([(503, "60")] * 10))
    async with serve(jobs, app=busy) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=30)
        with pytest.raises(ServerError, match="503"):
            await client.ask("find")
    assert len(busy.asked_at) == 1


async def test_a_store_that_is_away_is_that_here_too(connect: Callable[..., Asker]) -> None:
    away = Jobs(store="redis://127.0.0.1:9")
    async with serve(away) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        with pytest.raises(StoreUnavailable):
            await client.ask("submit", "demo")
