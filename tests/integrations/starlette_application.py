"""A Starlette application of a user's, with the jobs below /jobs and a handler that starts one."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from async_job import Context, Jobs, asgi
from support.ledger import write

jobs = Jobs()


@jobs.job
async def work(context: Context, seconds: float = 0) -> int:
    write(context, "start")
    await asyncio.sleep(seconds)
    return os.getpid()


async def home(request: Request) -> Response:
    return PlainTextResponse("the user's own")


async def start(request: Request) -> Response:
    return await asgi.accepted(jobs, await work.submit(), at="/jobs")


app = Starlette(
    routes=[Route("/", home), Route("/start", start, methods=["POST"]), Mount("/jobs", asgi.app(jobs))],
    lifespan=lambda app: asgi.lifespan(jobs),
)
