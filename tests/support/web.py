"""The application on a real server, on a free loopback port, in the test's own event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from async_job import Context, Jobs, asgi
from async_job.server import Server
from async_job.web.closing import Closing
from support.jobs import LEASE, claim, make_worker


def make_jobs(store_url: str, **settings: Any) -> Jobs:
    jobs = Jobs(store=store_url, **settings)

    @jobs.job
    async def add(a: int, b: int = 1) -> int:
        """Adds two numbers."""
        return a + b

    @jobs.job(max_attempts=1)
    async def fail(message: str = "no luck") -> None:
        raise ValueError(message)

    @jobs.job(queue="slow", max_attempts=7, max_crashes=2, timeout=90)
    def keep(anything: Any = None) -> Any:
        return anything

    @jobs.job
    async def steps(context: Context) -> str:
        context.progress(1, 4, "begun")
        return "done"

    return jobs


class Site(httpx.AsyncClient):
    """A client of a server that runs; ``server`` is it."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        super().__init__(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)

    async def exchange(self, request: bytes) -> bytes:
        """What is answered to these very bytes, until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    async def start(self, input: object = None) -> str:
        """The GUID of a job started by the original's endpoint."""
        answer = await self.post("/start-job", json=input) if input else await self.post("/start-job")
        assert answer.status_code == 200, answer.text
        id = answer.json()
        assert isinstance(id, str)
        return id


@asynccontextmanager
async def serve(jobs: Jobs, *, worker: bool = False, app: ASGIApp | None = None, port: int = 0) -> AsyncIterator[Site]:
    """Serves the jobs' application, or another one, until the block ends; on a free port, unless one is given."""
    listen = socket.create_server(("127.0.0.1", port))
    # uvloop does so itself; asyncio leaves a socket alone that was not made for TCP in so many words, and each answer
    # on a connection that is kept takes 40 ms.
    listen.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = listen.getsockname()[1]
    closing = Closing()
    ready = asyncio.Event()
    server = Server(app or asgi.app(jobs, worker=worker, closing=closing), jobs.settings, closing, ready.set)
    running = asyncio.create_task(server.serve([listen]))
    starting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, starting}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        starting.cancel()
        running.result()
    try:
        async with Site(server, port) as site:
            yield site
    finally:
        server.should_exit = True
        await running


async def claim_all(jobs: Jobs, n: int = 1) -> None:
    """Lets a worker claim what is queued: it is running afterwards."""
    store = await jobs.store()
    await store.enroll(make_worker(), LEASE)
    await claim(store, n)
