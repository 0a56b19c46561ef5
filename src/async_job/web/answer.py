"""What a handler gives back, and how it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

encode = msgspec.json.Encoder().encode

JSON: Final = (b"content-type", b"application/json; charset=utf-8")
TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")


class Answer(NamedTuple):
    """A whole response. The content's length is added when it is sent. One with a ``stream`` of server-sent events has
    that for a body, and is sent by ``sse.send_stream``, or without it by ``send_answer`` to HEAD."""

    status: int
    headers: Headers
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


Handler = Callable[[Scope, Receive], Awaitable[Answer]]
"""Answers one method of one path; the path's parameters are in ``scope["path_params"]``."""


def json_answer(value: Any, status: int = 200, headers: Headers | None = None) -> Answer:
    return Answer(status, [JSON, *(headers or ())], encode(value))


async def send_answer(answer: Answer, send: Send) -> None:
    status, headers, body, stream = answer
    if status not in (204, 304) and stream is None:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
