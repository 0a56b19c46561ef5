"""The floor: plain ASGI, whose requests share one script. What comes while one is on its way goes with the next."""

import asyncio
import uuid

from rivals.floor import redis, submit_script

waiting: list[tuple[str, asyncio.Future[None]]] = []
sending: set[asyncio.Task[None]] = set()


async def submit() -> str:
    id, stored = str(uuid.uuid4()), asyncio.get_running_loop().create_future()
    waiting.append((id, stored))
    if not sending:
        task = asyncio.create_task(send_all())
        sending.add(task)
        task.add_done_callback(sending.discard)
    await stored
    return id


async def send_all() -> None:
    while waiting:
        group = waiting.copy()
        waiting.clear()
        await submit_script(args=[text for id, _ in group for text in (id, "noop")])
        for _, stored in group:
            stored.set_result(None)


async def answer(path: str) -> bytes:
    if path == "/start-job":
        return f'"{await submit()}"'.encode()
    if path.startswith("/status-job/"):
        return b'"%b"' % (await redis.hget(path.rpartition("/")[2], "status") or b"")
    return b'{"status":"ok"}'


async def app(scope, receive, send) -> None:
    body = await answer(scope["path"])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
