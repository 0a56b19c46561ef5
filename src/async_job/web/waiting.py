"""Waits for a job on behalf of a client, as long as the client and the server are there."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from async_job.core.job import Job
from async_job.jobs import Jobs
from async_job.watch import Wanted
from async_job.web.body import ClientGone
from async_job.web.closing import Closing


async def wait_for(jobs: Jobs, id: str, wanted: Wanted, seconds: float, receive: Receive, closing: Closing) -> Job:
    """The job as soon as ``wanted(job)`` holds (``None``: it has ended), or as it is after ``seconds``, or when the
    server closes.

    Raises:
        ClientGone: the client did not wait so long.
    """
    job = await jobs.get(id)
    if (job.done if wanted is None else wanted(job)) or seconds <= 0:
        return job
    watch = asyncio.create_task(jobs.watch(id, wanted, seconds))
    gone = asyncio.create_task(left(receive))
    closed = asyncio.create_task(closing.wait())
    tasks = (watch, gone, closed)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            return watch.result()
        if gone.done():
            raise ClientGone
        return await jobs.get(id)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def left(receive: Receive) -> None:
    """Returns when the client has closed its connection; what comes before that is the rest of the request."""
    while (await receive())["type"] != "http.disconnect":
        continue


def applied(wait: float) -> tuple[bytes, bytes]:
    """The header that tells the client how long it was heard."""
    return (b"preference-applied", f"wait={wait:g}".encode())
