"""The application on a real server, on a free loopback port, in the test's own event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.types import ASGIApp

from async_job import Jobs, asgi
from async_job.server import Server
from async_job.web.closing import Closing
from support.jobs import LEASE, claim, make_worker


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
async def serve(jobs: Jobs, *, worker: bool = False, app: ASGIApp | None = None) -> AsyncIterator[Site]:
    """Serves the jobs' application, or another one, until the block ends."""
    listen = socket.create_server(("127.0.0.1", 0))
    port = listen.getsockname()[1]
    closing = Closing()
    ready = asyncio.Event()
    server = Server(app or asgi.app(jobs, worker=worker, closing=closing), 5, closing, ready.set)
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
