"""uvicorn's HTTP connection with limits that it has none for: on what comes before and after a request's body, on the
requests that are sent ahead, on clients that do not read, and on connections."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from async_job.ids import new_id
from async_job.settings import Settings
from async_job.web.body import WHOLE
from async_job.web.problems import Problem, retry_after
from async_job.web.sse import ABORT

LARGEST_HEAD: Final = 64 * 1024
MOST_AHEAD: Final = 1_000
"""Requests that a client may send ahead of their answers."""
CONTINUE: Final = b"HTTP/1.1 100 "
"""How an answer begins that is none yet: the client shall send the body."""
FULL_PAUSE: Final = 5


class Joined(asyncio.Transport):
    """What an answer is written to: its head waits for what follows, as ASGI wants it, and goes out with that. Alone it
    would be one more call of the system, and one more segment for the client to read."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        elif self._head is None and not data.startswith(CONTINUE):
            self._head = data
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """Closes when a request's head is too slow or too large, or the client reads too slowly; what is no HTTP is told so
    by a problem document."""

    settings: Settings
    most = 0
    """Connections that there may be."""
    in_head = False
    head_size = 0
    """Bytes of the head so far, and of what follows the body."""
    _deadline: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None
    _resting: asyncio.TimerHandle | None = None
    _idle_since: float | None = None
    """When the last answer was sent; ``None``: something has come since."""
    _begun = 0
    _answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            detail = f"the server holds {self.most} connections, and takes no more (max_connections)"
            self._refuse(Problem(503, "too_many_connections", detail, [retry_after(FULL_PAUSE)]))
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        self._forget_sending()
        self._forget_resting()
        if self._answered is not None and not self._answered.response_complete:
            # uvicorn tells only the request that came last.
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head, begun, cycle = self.in_head, self._begun, self._cycle
        body = 0 if cycle is None else len(cycle.body)
        self._idle_since = None
        self._parse(data)
        if self.transport.is_closing():
            return
        if begun == self._begun and (self.in_head if was_in_head else self._is_behind_body(body)):
            self.head_size += len(data)
            if self.head_size > LARGEST_HEAD:
                self._refuse(Problem(431, "head_too_large", f"the headers may have at most {LARGEST_HEAD} bytes"))
        elif len(self.pipeline) > MOST_AHEAD:
            self.transport.abort()
        elif self._is_idle and self._deadline is None:
            self._expect_head()

    def _parse(self, data: bytes) -> None:
        left: bytes | memoryview = data
        try:
            while left:
                left = self._feed(left)
        except HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """What is left of the data when the parser stops before their end: behind a head that asks for another protocol
        (`Upgrade: h2c` of Java's client, or of `curl --http2`). It would take the body for the next request."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as stop:
            if self.parser.get_method() == b"CONNECT":
                self.send_400_response("CONNECT is for proxies, and this server is none")
                return b""
            self._ask_again_without_upgrade()
            return memoryview(data)[stop.args[0] :]
        return b""

    def _ask_again_without_upgrade(self) -> None:
        """We know no other protocol, so the wish does not count (RFC 9110, 7.8): the same head without it goes to a new
        parser, which reads on."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        headers = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version.encode(), b"".join(headers)))

    def _should_upgrade(self) -> bool:
        # So uvicorn makes no request of such a head.
        return True

    def _is_behind_body(self, before: int) -> bool:
        """Whether what came last was no body, though the request goes on: trailers, or what frames chunks."""
        cycle = self._cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete and len(cycle.body) == before

    def on_message_begin(self) -> None:
        self.in_head = True
        self.head_size = 0
        self._begun += 1
        super().on_message_begin()
        self.scope[ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        self.in_head = False
        self._forget_deadline()
        super().on_headers_complete()
        if self.parser.should_upgrade():
            return
        # Trailers are no headers.
        self.headers = []
        if self.scope["method"] != "HEAD":
            self.cycle.transport = Joined(self.transport)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        cycle = self._cycle
        if cycle is not None and cycle.scope is self.scope:
            self.scope[WHOLE] = True  # type: ignore[typeddict-unknown-key]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._watch_sending()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._rest()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._forget_sending()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(400, "malformed_http", msg))

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        """The request that came last; uvicorn's annotation leaves out that there may have been none."""
        return self.cycle

    @property
    def _is_idle(self) -> bool:
        """Nothing is being answered."""
        cycle = self._cycle
        return cycle is None or cycle.response_complete

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(self.settings.head_deadline, self._close_if_idle)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_if_idle(self) -> None:
        self._deadline = None
        if self._is_idle:
            self._close()

    def _rest(self) -> None:
        """Closes if no request comes for a while. One timer looks after all the rests of a connection; uvicorn would
        make one for each."""
        self._idle_since = self.loop.time()
        if self._resting is None:
            self._resting = self.loop.call_later(self.timeout_keep_alive, self._close_if_rested)

    def _close_if_rested(self) -> None:
        self._resting = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._resting = self.loop.call_later(left, self._close_if_rested)
        else:
            self._close()

    def _forget_resting(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _close(self) -> None:
        """When all is sent."""
        if not self.transport.is_closing():
            self.transport.close()
            self._watch_sending()

    def _watch_sending(self) -> None:
        """Sees to it that the client takes something of what waits for it, again and again."""
        waiting = self.transport.get_write_buffer_size()
        if waiting and self._sending is None:
            self._sending = self.loop.call_later(self.settings.send_deadline, self._cut_unless_less, waiting)

    def _cut_unless_less(self, before: int) -> None:
        self._sending = None
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_sending()

    def _forget_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _refuse(self, problem: Problem) -> None:
        """Answers without the application and closes."""
        answer = problem.answer(new_id())
        lines = [b"HTTP/1.1 %d %b" % (answer.status, problem.title.encode())]
        headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body)), (b"connection", b"close")]
        lines += [b"%b: %b" % header for header in headers]
        self.transport.write(b"\r\n".join([*lines, b"", answer.body]))
        self._close()


def connection_class(settings: Settings, most: int) -> type[Connection]:
    """The server makes its connections itself, and takes a class for it."""
    return type("Connection", (Connection,), {"settings": settings, "most": most})
