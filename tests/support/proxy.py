"""A TCP proxy in front of a server, which cuts a connection between the server's answer and the client."""

import asyncio
from typing import Self


class Proxy:
    """Forwards both ways. After ``cut_next_reply(to)`` the answer to the next request that has ``to`` in it is thrown
    away and both sides are closed: the server has done what it was asked, and the client does not know."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._armed: bytes | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut_next_reply(self, to: bytes = b"") -> None:
        self._armed = to

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        doomed = asyncio.Event()
        there = asyncio.ensure_future(self._copy_requests(reader, to_writer, doomed))
        back = asyncio.ensure_future(self._copy_replies(to_reader, writer, doomed))
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for side in (there, back):
                side.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            to_writer.close()
            writer.close()

    async def _copy_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if self._armed is not None and self._armed in data:
                self._armed = None
                doomed.set()
            writer.write(data)

    async def _copy_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if doomed.is_set():
                self.cuts += 1
                return
            writer.write(data)
