"""Server-sent events: how they are written, and how a stream is sent to a client for as long as it reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from async_job.errors import AsyncJobError
from async_job.logs import get_logger
from async_job.web.answer import Headers, encode
from async_job.web.body import ClientGone
from async_job.web.closing import Closing
from async_job.web.waiting import left

HEADERS: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Asks nginx not to hold events back.
    (b"x-accel-buffering", b"no"),
]
PAUSE: Final = 15.0
"""Seconds without an event after which a comment says that the connection lives."""
COMMENT: Final = b":\n\n"

ABORT: Final = "async_job.abort"
"""Where in the scope our own server puts what drops the connection with all that was not sent."""

log = get_logger()


def sse(event: str, data: Any, id: str = "") -> bytes:
    """One event. JSON has no line breaks of its own, so it is one line of data."""
    head = b"id: %b\n" % id.encode() if id else b""
    return b"%bevent: %b\ndata: %b\n\n" % (head, event.encode(), encode(data))


async def send_stream(
    headers: Headers,
    chunks: AsyncIterator[bytes],
    scope: Scope,
    receive: Receive,
    send: Send,
    closing: Closing,
    deadline: float,
) -> None:
    """Sends until the chunks end, the client goes, or the server closes. A client that has not taken an event within
    ``deadline`` seconds is cut, and can come back with the last id that it got.

    Raises:
        ClientGone: the client has taken nothing for too long, and was cut.
    """
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    # By ASGI, servers let the head wait for the first part of the body; the first event may be long in coming.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    pumping = asyncio.create_task(_pump(chunks, send, deadline))
    ends = [asyncio.create_task(left(receive)), asyncio.create_task(closing.wait())]
    try:
        await asyncio.wait([pumping, *ends], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (pumping, *ends):
            task.cancel()
        [problem, *_] = await asyncio.gather(pumping, *ends, return_exceptions=True)
    if isinstance(problem, TimeoutError):
        abort = scope.get(ABORT)
        if abort is not None:
            abort()
            await left(receive)
        raise ClientGone
    if isinstance(problem, AsyncJobError):
        # The status is out already. The client comes back with the last id that it got, and hears of it then.
        log.warning("a stream was cut", error=str(problem))
    elif isinstance(problem, Exception):
        raise problem
    await send({"type": "http.response.body", "body": b""})


async def _pump(chunks: AsyncIterator[bytes], send: Send, deadline: float) -> None:
    async for chunk in chunks:
        async with asyncio.timeout(deadline):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
