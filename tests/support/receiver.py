"""A receiver of webhooks: a small HTTP server on a free loopback port that remembers what it was sent."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True)
class Received:
    line: str
    headers: dict[str, str]
    body: bytes
    server_name: str | None = None
    """The name that the client asked for when it began TLS."""

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The message, if the public verifier takes its signature and its time; raises otherwise."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answering(status: int, *headers: str, body: bytes = b"") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} So", *headers, f"content-length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return answer


class Receiver:
    """Gives each request the next of ``answers``, and the last one again and again."""

    def __init__(self, *answers: Answer, host: str = "127.0.0.1") -> None:
        self._host = host
        self._answers = list(answers) or [answering(204)]
        self._names: list[str | None] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self.received: list[Received] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self.scheme}://{host}:{self.port}/hook"

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Receiver"]:
        if tls is not None:
            self.scheme = "https"
            tls.sni_callback = lambda _, name, __: self._names.append(name)
        server = await asyncio.start_server(self._serve, self._host, 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            # The sender has closed the connection, as it should at the end.
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in rest)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(line, headers, body, self._names[-1] if self._names else None))
        self.arrived.set()
        answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        await answer(writer)
        await writer.drain()
