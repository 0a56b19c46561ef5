"""Uses that type checkers have to accept, with the types they have to find. Checked by test_typing.py, never run."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import date
from typing import Any, assert_type

from async_job import AsyncClient, Client, Context, Handle, Job, JobFunction, Jobs
from async_job.client.asynchronous import AsyncRemoteJob
from async_job.client.blocking import RemoteJob

jobs = Jobs()


@dataclass
class Size:
    width: int


@jobs.job
async def resize(path: str, size: Size, *, quality: int = 80) -> date:
    return date.min


@jobs.job
def count(words: list[str]) -> int:
    return len(words)


@jobs.job
async def report(ctx: Context, month: int, title: str = "") -> str:
    ctx.progress(1, 12, "on it")
    ctx.log("month %d", month)
    return title if not ctx.cancelled else ""


@jobs.job
def crunch(ctx: Context, number: int) -> float:
    return number / 2


@jobs.job(name="mail", queue="slow", max_attempts=5, timeout=1.5)
async def send(ctx: Context, to: str) -> None: ...


@jobs.job(runner="process", max_crashes=2, default=True)
def hash_it(data: bytes, /, rounds: int = 3) -> bytes:
    return data


@jobs.job()
async def nothing() -> None: ...


async def in_a_loop() -> None:
    # What calling gives.
    assert_type(await resize("a", Size(1)), date)
    assert_type(count(["a"]), int)
    assert_type(await report(3), str)
    assert_type(crunch(3), float)
    assert_type(await send("a"), None)
    assert_type(hash_it(b""), bytes)
    awaitable: Awaitable[date] = resize("a", Size(1))
    assert_type(await awaitable, date)

    # A submit takes the function's own parameters, without the context.
    assert_type(await resize.submit("a", Size(1), quality=3), Handle[date])
    assert_type(await count.submit(words=["a"]), Handle[int])
    assert_type(await report.submit(3, title="a"), Handle[str])
    assert_type(await crunch.submit(number=3), Handle[float])
    assert_type(await send.submit("a"), Handle[None])
    assert_type(await hash_it.submit(b"", rounds=4), Handle[bytes])
    assert_type(await nothing.submit(), Handle[None])

    # Results have the function's type.
    assert_type(await (await resize.submit("a", Size(1))).result(), date)
    assert_type(await (await report.submit(3)).result(timeout=5), str)
    handle = await count.submit(["a"])
    assert_type(await handle.wait(timeout=1), Job)
    assert_type(await handle.status(), str)
    assert_type(await handle.cancel(), Job)

    # Options keep the types.
    later = report.with_options(delay=3, priority=5, unique_key="k", on_conflict="reject", labels={"a": "b"})
    assert_type(await later.submit(3, title="a"), Handle[str])
    assert_type(await later(3), str)
    assert_type(await (await count.with_options(delay=1).with_options(priority=1).submit(["a"])).result(), int)


def without_a_loop() -> None:
    assert_type(resize.submit_sync("a", Size(1)), Handle[date])
    assert_type(report.submit_sync(3).result_sync(), str)
    assert_type(crunch.submit_sync(3).result_sync(timeout=1), float)
    assert_type(send.with_options(delay=1).submit_sync("a").job_sync(), Job)


async def over_http(client: AsyncClient) -> None:
    assert_type(await client.submit(resize, "a", Size(1), quality=3), AsyncRemoteJob[date])
    assert_type(await client.submit(report.with_options(delay=1), 3), AsyncRemoteJob[str])
    assert_type(await client.submit("resize", {"path": "a"}), AsyncRemoteJob[Any])
    assert_type(await (await client.submit(crunch, 3)).result(timeout=1), float)
    assert_type(await client.result("id", count), int)
    assert_type(await client.get("id"), Job)


def over_http_without_a_loop(client: Client) -> None:
    assert_type(client.submit(resize, "a", Size(1), quality=3), RemoteJob[date])
    assert_type(client.submit("resize", {"path": "a"}, key="k"), RemoteJob[Any])
    assert_type(client.submit(count, ["a"]).result(timeout=1), int)
    assert_type(client.result("id", report), str)
    assert_type(client.wait("id", 3), Job)


def takes_any_function_of_this_shape(function: JobFunction[[list[str]], int, int]) -> Handle[int]:
    return function.submit_sync(["a"])


takes_any_function_of_this_shape(count)
