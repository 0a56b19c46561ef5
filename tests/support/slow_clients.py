"""Clients that are slow in each way that there is: `python -m support.slow_clients PORT PATH SLOW IDLE FILL`.

`PATH` is a stream that has more to tell within `FILL` seconds than the buffers hold: the others connect after that.
They say `ready` when all are connected, and as JSON at the end, of each kind, after how many seconds each was cut, or
`null` if it was not for a minute.
"""

import asyncio
import contextlib
import json
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable

PAUSE = 0.5
PATIENCE = 60.0
HEAD = b"Host: localhost\r\n"

Kind = Callable[[socket.socket], Awaitable[None]]


async def idle(connection: socket.socket) -> None:
    """Says nothing."""
    while await asyncio.get_running_loop().sock_recv(connection, 1000):
        continue


async def slow_headers(connection: socket.socket) -> None:
    await _dribble(connection, b"GET /healthz HTTP/1.1\r\n")


async def slow_body(connection: socket.socket) -> None:
    """The server says that it was too slow, and closes."""
    await _dribble(connection, b"POST /start-job HTTP/1.1\r\nContent-Length: 10000\r\n" + HEAD + b"\r\n")


async def _dribble(connection: socket.socket, begun: bytes) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, begun)
    reading = asyncio.create_task(idle(connection))
    while not reading.done():
        await loop.sock_sendall(connection, b"x")
        await asyncio.wait([reading], timeout=PAUSE)
    await reading


async def deaf_to_stream(connection: socket.socket) -> None:
    await _unread(connection, b"GET " + sys.argv[2].encode() + b" HTTP/1.1\r\n" + HEAD + b"\r\n")


async def deaf_to_answers(connection: socket.socket) -> None:
    await _unread(connection, (b"GET /openapi.json HTTP/1.1\r\n" + HEAD + b"\r\n") * 50)


async def _unread(connection: socket.socket, request: bytes) -> None:
    """Asks, and takes nothing. That it was cut shows when it goes on asking."""
    await asyncio.get_running_loop().sock_sendall(connection, request)
    while True:
        await asyncio.sleep(PAUSE)
        await asyncio.get_running_loop().sock_sendall(connection, b"\r\n")


SLOW: tuple[Kind, ...] = (slow_headers, slow_body, deaf_to_answers)


async def _cut_after(kind: Kind, connection: socket.socket) -> float | None:
    begun = time.monotonic()
    # However it learns that the connection is gone.
    with contextlib.suppress(ConnectionError):
        try:
            async with asyncio.timeout(PATIENCE):
                await kind(connection)
        except TimeoutError:
            return None
    return round(time.monotonic() - begun, 1)


async def _connect(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    return connection


async def main(port: int, slow: int, still: int, fill: float) -> None:
    wanted = {deaf_to_stream: slow, idle: still} | dict.fromkeys(SLOW, slow)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tasks: dict[str, list[asyncio.Task[float | None]]] = {}
    for kind, n in wanted.items():
        connections = [await _connect(port) for _ in range(n)]
        tasks[kind.__name__] = [asyncio.create_task(_cut_after(kind, connection)) for connection in connections]
        if kind is deaf_to_stream:
            await asyncio.sleep(fill)
    print("ready", flush=True)
    print(json.dumps({name: await asyncio.gather(*each) for name, each in tasks.items()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
