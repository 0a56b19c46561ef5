"""A FastAPI application of a user's, with the jobs mounted below /jobs, and a handler that starts one."""

import asyncio
import os
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI, Response

from async_job import Context, Jobs, asgi
from support.ledger import write

jobs = Jobs()


@jobs.job
async def work(context: Context, seconds: float = 0) -> int:
    write(context, "start")
    await asyncio.sleep(seconds)
    return os.getpid()


def run_jobs(app: FastAPI) -> AbstractAsyncContextManager[None]:
    return asgi.lifespan(jobs)


app = FastAPI(lifespan=run_jobs)
app.mount("/jobs", asgi.app(jobs))


@app.get("/")
async def home() -> str:
    return "the user's own"


@app.post("/start", status_code=202)
async def start() -> Response:
    return await asgi.accepted(jobs, await work.submit(), at="/jobs")
