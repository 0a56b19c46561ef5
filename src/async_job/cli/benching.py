"""The command ``bench``: what the user's own store and machine give, in about a minute."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from async_job import logs
from async_job.cli.bench_place import place
from async_job.cli.bench_worker import jobs, nothing
from async_job.cli.output import print_json, print_rows
from async_job.core.job import State
from async_job.errors import UsageError, WaitTimeout, WorkerError
from async_job.settings import Settings, masked
from async_job.settings_sources import load
from async_job.store.protocol import Store

CALLERS: Final = 100
A_CALL: Final = 1000
MOST: Final = 50_000
"""No part submits more jobs than this, so that neither memory nor disk is filled."""
START: Final = 30.0
"""Seconds that the workers have to run their first job, and to end."""
LOOK: Final = 0.2
PAUSE: Final = 0.02
QUEUE: Final = "default"


class Figures(Struct, kw_only=True):
    """Rates are jobs a second; ``latency`` is from the call of submit to the result, on an idle system, in
    milliseconds."""

    store: str
    durability: str
    machine: str
    workers: int
    concurrency: int
    latency_p50_ms: float
    latency_p99_ms: float
    submit_per_s: float
    submit_many_per_s: float
    run_per_s: float


class Steps:
    """A bar that fills with the time that was planned; the parts say how far they are."""

    def __init__(self, progress: Progress, seconds: float) -> None:
        self._progress = progress
        self._bar = progress.add_task("starting the workers", total=seconds)

    @contextmanager
    def part(self, title: str, seconds: float) -> Iterator[Callable[[], bool]]:
        """What it gives says whether there is time left, and moves the bar."""
        begin, before = time.monotonic(), self._progress.tasks[0].completed
        self._progress.update(self._bar, description=title)

        def goes_on() -> bool:
            passed = time.monotonic() - begin
            self._progress.update(self._bar, completed=before + min(passed, seconds))
            return passed < seconds

        yield goes_on
        self._progress.update(self._bar, completed=before + seconds)


async def bench(flags: Mapping[str, object], seconds: float, namespace: str | None, *, as_json: bool) -> None:
    """Measures for about so many seconds, and prints a table. ``flags`` are settings.

    Raises:
        UsageError: the store is in use, or cannot be measured.
        WorkerError: the workers do not come to work.
    """
    own = load(flags={**flags, "namespace": namespace}).settings
    if not own.workers:
        raise UsageError("workers is 0: there would be nothing to measure")
    logs.configure(msgspec.structs.replace(own, log_level="warning"), sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with _ending_in_order(), bar as progress:
        async with place(own, named=namespace is not None) as settings:
            jobs.configure(settings=settings)
            async with jobs, _workers(settings):
                figures = await _measure(masked(own), Steps(progress, seconds), seconds / 5)
    if as_json:
        print_json(msgspec.json.encode(figures))
    else:
        print_rows(("what", "figure"), _rows(figures))


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Who asks it to end by SIGTERM or SIGHUP wants it to clean up, as after Ctrl-C."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        # nohup has the end of the terminal ignored.
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.getsignal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _measure(shown: Settings, steps: Steps, share: float) -> Figures:
    store = await jobs.store()
    health = await store.health()
    await _first()
    with steps.part("one job at a time", share) as goes_on:
        latencies = await _latencies(goes_on)
    # From here on the workers stand still until all is stored.
    await store.administration.pause(QUEUE)
    with steps.part(f"submitting one by one, from {CALLERS} tasks", share) as goes_on:
        one_by_one = await _rate(goes_on, [_submit_one] * CALLERS)
    with steps.part(f"submitting {A_CALL} a call", share) as goes_on:
        many = await _rate(goes_on, [_submit_many])
    with steps.part("running what was submitted", 2 * share) as goes_on:
        await store.administration.resume(QUEUE)
        ran = await _running_rate(store, goes_on)
    return Figures(
        store=f"{shown.store}: {health.backend}",
        durability=health.durability,
        machine=f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        workers=jobs.settings.workers,
        concurrency=jobs.settings.concurrency,
        latency_p50_ms=statistics.median(latencies),
        latency_p99_ms=sorted(latencies)[int(len(latencies) * 0.99)],
        submit_per_s=one_by_one,
        submit_many_per_s=many,
        run_per_s=ran,
    )


async def _first() -> None:
    """Waits until the workers work."""
    handle = await nothing.submit()
    try:
        await handle.result(START)
    except WaitTimeout as error:
        raise WorkerError(f"the workers ran nothing within {START:g} s; is the machine busy?") from error


async def _latencies(goes_on: Callable[[], bool]) -> list[float]:
    found: list[float] = []
    while not found or goes_on():
        await asyncio.sleep(PAUSE)
        begin = time.perf_counter()
        await (await nothing.submit()).result(START)
        found.append((time.perf_counter() - begin) * 1000)
    return found


async def _submit_one() -> int:
    await nothing.submit()
    return 1


async def _submit_many() -> int:
    answers = await jobs.submit_many([nothing.request() for _ in range(A_CALL)])
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return len(answers)


async def _rate(goes_on: Callable[[], bool], callers: list[Callable[[], Awaitable[int]]]) -> float:
    """How many jobs a second these callers store, until time or jobs are over."""
    stored = 0

    async def call(submit: Callable[[], Awaitable[int]]) -> None:
        nonlocal stored
        while not stored or (stored < MOST and goes_on()):
            # In one expression the sum would be read before the wait, and lose what others add meanwhile.
            more = await submit()
            stored += more

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for submit in callers:
            group.create_task(call(submit))
    return stored / (time.perf_counter() - begin)


async def _running_rate(store: Store, goes_on: Callable[[], bool]) -> float:
    """How many jobs a second end, from the first that does until all have or time is over."""

    async def ended() -> int:
        return (await store.counts()).states[State.SUCCEEDED]

    before = await ended()
    left = (await store.counts()).queued.get(QUEUE, 0)
    begin = end = time.perf_counter()
    now = before
    while now - before < left and (goes_on() or now == before):
        await asyncio.sleep(LOOK)
        now, end = await ended(), time.perf_counter()
        if now == before and end - begin > START:
            raise WorkerError(f"the workers ran nothing within {START:g} s; is the machine busy?")
    return (now - before) / (end - begin)


@asynccontextmanager
async def _workers(settings: Settings) -> AsyncIterator[None]:
    """Workers as ``async-job worker`` starts them; they end with this process, however that ends."""
    theirs, ours = os.pipe()
    command = [sys.executable, "-P", "-m", "async_job.cli.bench_worker", str(theirs)]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, pass_fds=[theirs])
    os.close(theirs)
    watching = asyncio.create_task(_refuse_end(process, asyncio.current_task()))
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(msgspec.structs.replace(settings, grace=1.0, log_level="warning")))
        process.stdin.close()
        yield
    except asyncio.CancelledError:
        if watching.done() and not watching.cancelled():
            raise WorkerError(f"the workers ended with exit code {process.returncode}") from None
        raise
    finally:
        watching.cancel()
        with suppress(ProcessLookupError):  # it has ended already
            process.terminate()
        try:
            async with asyncio.timeout(START):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        os.close(ours)


async def _refuse_end(process: Process, measuring: asyncio.Task[object] | None) -> None:
    """Ends the measurement when the workers have ended."""
    await process.wait()
    if measuring is not None:
        measuring.cancel()


def _rows(figures: Figures) -> list[tuple[str, str]]:
    return [
        ("store", figures.store),
        ("", figures.durability),
        ("machine", figures.machine),
        ("workers", f"{figures.workers}, each with {figures.concurrency} jobs at once"),
        ("submit to result, idle, half of them", f"{figures.latency_p50_ms:.1f} ms"),
        ("submit to result, idle, 99 of 100", f"{figures.latency_p99_ms:.1f} ms"),
        (f"submitted one by one, from {CALLERS} tasks", f"{figures.submit_per_s:,.0f} jobs/s"),
        (f"submitted {A_CALL} a call", f"{figures.submit_many_per_s:,.0f} jobs/s"),
        ("run, jobs that do nothing", f"{figures.run_per_s:,.0f} jobs/s"),
    ]
