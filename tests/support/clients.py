"""Jobs to ask a server for, and both clients asked in the same words."""

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any

from async_job import AsyncClient, Client, Context, Jobs


@dataclass
class Point:
    x: int
    y: int


def make_jobs(store_url: str = "memory://") -> Jobs:
    # Some of these never end; nobody waits for them.
    jobs = Jobs(store=store_url, grace=0.1)

    @jobs.job
    async def add(a: int, b: int = 1) -> int:
        return a + b

    @jobs.job
    async def middle(of: list[Point]) -> Point:
        return Point(sum(point.x for point in of) // len(of), sum(point.y for point in of) // len(of))

    @jobs.job
    async def nothing() -> None:
        """Returns nothing."""

    @jobs.job(max_attempts=1)
    async def fail(message: str = "no luck") -> None:
        raise ValueError(message)

    @jobs.job
    async def hang() -> None:
        await asyncio.Event().wait()

    @jobs.job
    async def steps(context: Context) -> str:
        context.progress(1, 2, "half")
        context.log("a line")
        await asyncio.sleep(0)
        context.progress(2, 2)
        return "done"

    @jobs.job
    async def stay(context: Context) -> None:
        context.progress(1, 2, "half")
        context.log("a line")
        await asyncio.Event().wait()

    @jobs.job
    async def talk(context: Context, lines: int) -> None:
        for n in range(lines):
            context.log("line %d", n)
            await asyncio.sleep(0.02)

    return jobs


class Asker:
    """One of the clients. ``await ask("submit", …)`` calls a verb of it, or of a job that it gave."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    async def ask(self, verb: str, *args: Any, of: Any = None, **kwargs: Any) -> Any:
        method = getattr(self.client if of is None else of, verb)
        if inspect.iscoroutinefunction(method):
            return await method(*args, **kwargs)
        return await asyncio.to_thread(method, *args, **kwargs)

    async def all(self, verb: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Everything that an iterator of the client gives."""
        found = getattr(self.client, verb)(*args, **kwargs)
        if hasattr(found, "__aiter__"):
            return [one async for one in found]
        return await asyncio.to_thread(list, found)
