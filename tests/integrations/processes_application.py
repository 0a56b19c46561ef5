"""A Starlette application of a user's whose jobs run in worker processes beside it."""

import os
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.routing import Mount

from async_job import Jobs, asgi

jobs = Jobs()


@jobs.job
def work(seconds: float = 0) -> int:
    return os.getpid()


def run_jobs(app: Starlette) -> AbstractAsyncContextManager[None]:
    return asgi.lifespan(jobs, processes=1)


app = Starlette(routes=[Mount("/jobs", asgi.app(jobs))], lifespan=run_jobs)
