"""A TCP proxy in front of a server, which cuts connections, lets them hang, or makes them slow."""

import asyncio
import contextlib
import random
from typing import Self


class Proxy:
    """Forwards both ways. After ``cut_next_reply(to)`` the answer to the next request that has ``to`` in it is thrown
    away and both sides are closed: the server has done what it was asked, and the client does not know.

    `delay`: seconds that each piece takes, at random between the two. `dribble`: it comes byte by byte.
    `cut_every`: with two, the answer to each second request is thrown away.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._armed: bytes | None = None
        self._doomed: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.delay = (0.0, 0.0)
        self.dribble = False
        self.cut_every = 0
        self._requests = 0
        self.cuts = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.let_go()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut_next_reply(self, to: bytes = b"") -> None:
        self._armed = to

    def cut_all(self) -> None:
        """Closes all connections, whatever is under way on them."""
        self.cuts += len(self._writers) // 2
        for writer in self._writers:
            writer.close()

    def hold(self) -> None:
        """From now on nothing gets through, and nothing is closed, as behind a firewall that has forgotten."""
        self._flows.clear()

    def let_go(self) -> None:
        self._flows.set()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        if self.delay != (0.0, 0.0):
            await asyncio.sleep(random.uniform(*self.delay))
        for piece in (data[at : at + 1] for at in range(len(data))) if self.dribble else (data,):
            writer.write(piece)
            if self.dribble:
                await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except ConnectionError:
            # The server is down, which its client is to see.
            writer.close()
            self._tasks.discard(task)
            return
        both = {writer, to_writer}
        self._writers |= both
        # Each direction closes both sides at its end, which ends the other.
        await asyncio.gather(self._copy(reader, to_writer, both), self._copy(to_reader, writer, both, replies=True))
        self._writers -= both
        self._doomed -= both
        self._tasks.discard(task)

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: set[asyncio.StreamWriter],
        replies: bool = False,
    ) -> None:
        # A side that breaks off is what the proxy is for.
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if replies and self._doomed & both:
                    self.cuts += 1
                    break
                if not replies and self.cut_every:
                    self._requests += 1
                    if self._requests % self.cut_every == 0:
                        self._doomed |= both
                if not replies and self._armed is not None and self._armed in data:
                    self._armed = None
                    self._doomed |= both
                await self._pass_on(data, writer)
        for one in both:
            one.close()
        for one in both:
            with contextlib.suppress(ConnectionError):
                await one.wait_closed()
