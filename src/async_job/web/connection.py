"""uvicorn's HTTP connection with limits on what comes before a request's body, which it has none for."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from async_job.ids import new_id
from async_job.web.problems import Problem
from async_job.web.sse import ABORT

LARGEST_HEAD: Final = 64 * 1024


class Connection(HttpToolsProtocol):
    """Closes when a request's head is too slow or too large; what is no HTTP is told so by a problem document."""

    head_deadline = 10.0
    """Seconds in which a request's line and headers have to be there."""
    _deadline: asyncio.TimerHandle | None = None
    in_head = False
    head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self.in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if was_in_head and self.in_head:
            self.head_size += len(data)
            if self.head_size > LARGEST_HEAD:
                self._refuse(Problem(431, "head_too_large", f"the headers may have at most {LARGEST_HEAD} bytes"))
        elif self._is_idle and self._deadline is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        self.in_head = True
        self.head_size = 0
        super().on_message_begin()
        self.scope[ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        self.in_head = False
        self._forget_deadline()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(400, "malformed_http", msg))

    @property
    def _is_idle(self) -> bool:
        """Nothing is being answered."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(self.head_deadline, self._close_if_idle)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_if_idle(self) -> None:
        self._deadline = None
        if self._is_idle and not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answers without the application and closes."""
        answer = problem.answer(new_id())
        lines = [b"HTTP/1.1 %d %b" % (answer.status, problem.title.encode())]
        headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body)), (b"connection", b"close")]
        lines += [b"%b: %b" % header for header in headers]
        self.transport.write(b"\r\n".join([*lines, b"", answer.body]))
        self.transport.close()


def connection_class(head_deadline: float) -> type[Connection]:
    """The server makes its connections itself, and takes a class for it."""
    return type("Connection", (Connection,), {"head_deadline": head_deadline})
