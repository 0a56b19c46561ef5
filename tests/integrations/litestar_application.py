"""A Litestar application of a user's, with the jobs below /jobs and a handler that starts one."""

import asyncio
import os
from contextlib import AbstractAsyncContextManager

import litestar
from litestar.types import ASGIApp

from async_job import Context, Jobs, asgi
from support.ledger import write

jobs = Jobs()


@jobs.job
async def work(context: Context, seconds: float = 0) -> int:
    write(context, "start")
    await asyncio.sleep(seconds)
    return os.getpid()


@litestar.get("/")
async def home() -> str:
    return "the user's own"


@litestar.post("/start")
async def start() -> ASGIApp:
    return await asgi.accepted(jobs, await work.submit(), at="/jobs")


def run_jobs(app: litestar.Litestar) -> AbstractAsyncContextManager[None]:
    return asgi.lifespan(jobs)


mounted = litestar.asgi("/jobs", is_mount=True, copy_scope=True)(asgi.app(jobs))
app = litestar.Litestar([home, start, mounted], lifespan=[run_jobs])
