"""An application whose jobs do to their process what jobs do."""

import asyncio
import contextlib
import contextvars
import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from typing import Any

import msgspec
import pydantic

from async_job.context import Context
from async_job.errors import UnrecoverableError
from async_job.jobs import Jobs

jobs = Jobs(store="memory://")
calls = 0
kept: list[bytes] = []
colour = contextvars.ContextVar("colour", default="none")


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


class Point(msgspec.Struct):
    x: float
    day: date


class GivenUp(UnrecoverableError):
    pass


class Model(pydantic.BaseModel):
    name: str
    sizes: list[int] = []


@jobs.job(runner="process")
def add(a: int, b: int = 2) -> int:
    return a + b


@jobs.job(runner="process")
def typed(size: Size, point: Point, /, *, model: Model) -> dict[str, str]:
    return {"size": repr(size), "point": repr(point), "model": repr(model)}


@jobs.job(runner="process")
def make_model(name: str) -> Model:
    return Model(name=name, sizes=[1, 2])


@jobs.job(runner="process")
async def add_async(ctx: Context, a: int) -> list[Any]:
    await asyncio.sleep(0)
    return [a + 1, ctx.attempt, threading.current_thread() is threading.main_thread()]


@jobs.job
def in_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@jobs.job
async def on_loop() -> str:
    return "on loop"


@jobs.job(runner="process")
def where() -> list[int]:
    global calls
    calls += 1
    return [os.getpid(), calls]


@jobs.job(runner="process")
def wait_where(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@jobs.job(runner="process")
def fail(message: str) -> None:
    raise ValueError(message)


@jobs.job(runner="process")
async def fail_async(message: str) -> None:
    raise ValueError(message)


@jobs.job(runner="process")
def leave(code: int) -> None:
    sys.exit(code)


@jobs.job(runner="process")
async def leave_async(code: int) -> None:
    sys.exit(code)


@jobs.job(runner="process")
def cancel_itself() -> None:
    raise asyncio.CancelledError


@jobs.job(runner="process")
def report(ctx: Context, steps: int) -> None:
    for step in range(1, steps + 1):
        ctx.progress(step, steps, f"step {step}")
        ctx.log("did %d", step)


@jobs.job(runner="process")
def report_and_wait(ctx: Context) -> None:
    ctx.log("first")
    ctx.progress(1)
    time.sleep(60)


@jobs.job(runner="process")
def odd_words(ctx: Context) -> None:
    ctx.progress(1, message="\udcff")
    for _ in range(5_000):
        ctx.log("\x01" * 10_000)
    ctx.log("a\nb\x00 \udcff" + "é" * 20_000)


@jobs.job(runner="process")
def watch(ctx: Context) -> str:
    while not ctx.cancelled:
        time.sleep(0.005)
    return "seen"


@jobs.job(runner="process")
async def sleep_async(ctx: Context, folder: str) -> None:
    ctx.log("started")
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        os.mkdir(os.path.join(folder, "cleaned"))


@jobs.job(runner="process")
async def swallow(ctx: Context) -> None:
    ctx.log("started")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ctx.log("no")


@jobs.job(runner="process")
def loop_for_ever(ctx: Context, deaf: bool = False) -> None:
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctx.log("started")
    while True:
        pass


@jobs.job(runner="process")
def start_a_process(ctx: Context) -> None:
    ctx.log("%d", subprocess.Popen(["sleep", "60"]).pid)
    time.sleep(60)


@jobs.job(runner="process")
async def start_a_process_and_linger(ctx: Context) -> None:
    ctx.log("%d", subprocess.Popen(["sleep", "60"]).pid)  # noqa: ASYNC220 - there is nothing else here to hold up
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(60)


@jobs.job(runner="process")
def fork_and_die() -> None:
    if os.fork() == 0:
        os.setsid()
        time.sleep(3)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.job(runner="process")
def kill_itself(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


@jobs.job(runner="process")
def end_at_once(code: int) -> None:
    os._exit(code)


@jobs.job(runner="process")
def segfault() -> None:
    ctypes.string_at(0)


@jobs.job(runner="process")
def submit_another() -> str:
    return add.submit_sync(1).id


@jobs.job(runner="process")
def give_up() -> None:
    raise GivenUp("no such address")


@jobs.job(runner="process")
def take_memory(mib: int, seconds: float) -> int:
    taken = b"x" * (mib << 20)
    time.sleep(seconds)
    return len(taken)


@jobs.job(runner="process")
def keep_memory(mib: int) -> int:
    kept.append(b"x" * (mib << 20))
    return os.getpid()


@jobs.job(runner="process")
def close_all() -> None:
    os.closerange(3, 256)
    time.sleep(60)


@jobs.job(runner="process")
def write_everywhere() -> None:
    for fd in range(3, 32):
        with contextlib.suppress(OSError):
            os.write(fd, b"rubbish\n")
    time.sleep(60)


@jobs.job(runner="process")
def print_garbage() -> str:
    for stream in (sys.stdout, sys.stderr):
        print('{"type":"Returned","result":"IjEi"}', file=stream)
        print("\x00\xff garbage" * 1000, file=stream, flush=True)
    os.write(1, bytes(range(256)) * 100)
    return "fine"


@jobs.job(runner="process")
def big(size: int) -> str:
    return "x" * size


@jobs.job(runner="process")
def wrong() -> int:
    return "no number"


@jobs.job(runner="process")
def unwritable() -> Any:
    return object()


@jobs.job(runner="process")
def colours() -> str:
    before = colour.get()
    colour.set("red")
    return before


@jobs.job(runner="process")
def talk_later(ctx: Context) -> str:
    def talk():
        for _ in range(40):
            time.sleep(0.01)
            ctx.log("late")

    threading.Thread(target=talk).start()
    return "done"


@jobs.job(runner="process")
def environment() -> list[bool]:
    return ["ASYNC_JOB_CHILD" in os.environ, sys.stdin.read() == "", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL]
