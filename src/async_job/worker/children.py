"""Child processes that run jobs: for CPU work, which would hold up its neighbours, and for suspects, which might take
them along.

A child runs one job at a time. Warm ones are kept, and replaced after a death, after a cancel that only a kill could
carry out, and after ``recycle`` jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from typing import Final, Self

import msgspec

from async_job.core.job import ErrorInfo
from async_job.errors import WorkerError
from async_job.logs import get_logger
from async_job.settings import MIB, Settings
from async_job.worker.active import ActiveRun
from async_job.worker.frames import (
    Cancel,
    FromChild,
    News,
    NotReady,
    Raised,
    Ready,
    Returned,
    Run,
    ToChild,
    decode_from_child,
    encode,
)
from async_job.worker.launch import Launch
from async_job.worker.memory import resident
from async_job.worker.verdict import Killed

NOTICE: Final = 0.5
"""Seconds for a plain function to see ``ctx.cancelled`` and return, before it gets a SIGTERM."""
STOP: Final = 2.0
"""Seconds from a cancel to the SIGKILL; an ``async def`` has all of them for its clean-up."""
WEIGH_EVERY: Final = 0.1
"""Seconds between two looks at how much memory a child that runs a job takes."""
LEAVE: Final = 1.0
"""Seconds for an idle process to end by itself when it is no longer needed."""


log = get_logger()


class ChildRaised(WorkerError):
    """The job's function has raised in a child process, or its input or result does not fit."""

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(error.message)
        self.error = error


class ChildDied(WorkerError):
    """The child process has died. ``cause`` says how, ``reason`` is that of a ``Crashed``."""

    def __init__(self, cause: str, reason: str = "") -> None:
        super().__init__(f"child process: {cause}")
        self.cause = cause
        self.reason = reason


class ChildNotStarted(ChildDied):
    """No child process could be started, so nothing of the job has run."""


class Child:
    """One child process, from its start to its end. It leads a process group of its own, so that what its jobs have
    started ends with it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        memory_limit: int,
    ) -> None:
        self.runs = 0
        self._memory_limit = memory_limit
        self._too_large = False
        self._process = process
        self._reader = reader
        self._writer = writer
        self._cancellable: frozenset[str] = frozenset()
        self._busy = True
        self._stopping: asyncio.Task[None] | None = None
        self._closing = False

    @classmethod
    async def start(cls, target: str | None, settings: Settings) -> Self:
        """Starts a process and waits until it has imported the application.

        Raises:
            ChildNotStarted: it could not.
        """
        try:
            return await cls._start(target, settings)
        except OSError as error:
            raise ChildNotStarted(f"could not start: {error}") from error

    @classmethod
    async def _start(cls, target: str | None, settings: Settings) -> Self:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            # base64 makes a result a third longer; the rest is for an error with its traceback, or some log lines.
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=settings.max_result * 4 // 3 + MIB)
            launch = Launch(target=target, settings=settings, channel_fd=theirs.fileno())
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "async_job.worker.child"),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=launch.environ(),
                    pass_fds=launch.fds,
                    start_new_session=True,
                )
            except BaseException:
                writer.close()
                raise
        child = cls(process, reader, writer, settings.worker_memory_limit)
        try:
            await child._become_ready(settings.stall_timeout)
        except BaseException:
            await child.kill()
            raise
        return child

    async def _become_ready(self, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                frame = await self._receive()
        except TimeoutError:
            silent = f"could not start: it gave no sign of life for {patience:g} s (stall_timeout)"
            raise ChildNotStarted(silent) from None
        except ChildDied as error:
            raise ChildNotStarted(f"could not start: {error.cause}") from error
        match frame:
            case Ready(cancellable):
                self._cancellable = cancellable
                self._busy = False
            case NotReady(problem):
                raise ChildNotStarted(f"could not start: {problem}")
            case _:
                raise ChildNotStarted("could not start: its first word was not that it is ready")

    @property
    def usable(self) -> bool:
        """Whether it can run another job."""
        ended = self._process.returncode is not None or self._reader.at_eof()
        return not self._busy and not ended and not self._takes_too_much()

    def _takes_too_much(self) -> bool:
        return bool(self._memory_limit) and resident(self._process.pid) > self._memory_limit

    async def _hold_to_limit(self) -> None:
        """Kills the process when it takes too much memory; ends by that or by cancellation."""
        while True:
            await asyncio.sleep(WEIGH_EVERY)
            if self._takes_too_much():
                self._too_large = True
                log.warning("killing a child process", pid=self._process.pid, why=str(Killed.MEMORY))
                await self.kill()
                return

    async def run(self, active: ActiveRun) -> bytes:
        """See ``Children.run``."""
        self.runs += 1
        self._busy = True
        holding = asyncio.create_task(self._hold_to_limit()) if self._memory_limit else None
        try:
            active.start_clock()
            self._send(Run(active.job))
            return await self._answer(active)
        except asyncio.CancelledError:
            if self._closing:
                raise
            self._stopping = asyncio.create_task(self._stop(active))
            await asyncio.shield(self._stopping)
            raise
        finally:
            if holding is not None:
                holding.cancel()

    async def _answer(self, active: ActiveRun) -> bytes:
        """Passes on what the job says until it ends."""
        while True:
            match await self._receive():
                case News(progress, lines):
                    if progress is not None:
                        active.progress(progress)
                    for line in lines:
                        active.log(line)
                case Returned(result):
                    self._busy = False
                    return result
                case Raised(error):
                    self._busy = False
                    raise ChildRaised(error)
                case Ready() | NotReady():
                    raise ChildDied("sent what it may only send when it starts")

    async def _stop(self, active: ActiveRun) -> None:
        """Ends the job: by asking while that may help, then by ending the process."""
        asks = STOP if active.job.type in self._cancellable else NOTICE
        self._send(Cancel())
        with contextlib.suppress(TimeoutError, ChildRaised, ChildDied):
            # However it ends now, there is nobody who wants to know.
            async with asyncio.timeout(asks):
                await self._answer(active)
        if not self._busy:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP - asks):
                await self._process.wait()
        await self.kill()

    def _send(self, frame: ToChild) -> None:
        """To a process that has died: the answer, or the lack of one, will say so."""
        self._writer.write(encode(frame) + b"\n")

    async def _receive(self) -> FromChild:
        """The next frame. Raises ``ChildDied`` when there is none, and when it is none."""
        try:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise await self._death()
            frame: FromChild = decode_from_child(line)
            return frame
        except ConnectionError as error:
            raise await self._death() from error
        except (ValueError, msgspec.DecodeError) as error:
            await self.kill()
            raise ChildDied("wrote to the socket that is the worker's, and was killed") from error

    async def _death(self) -> ChildDied:
        cause = await self._cause_of_death()
        return ChildDied(f"killed: {Killed.MEMORY}", "memory") if self._too_large else ChildDied(cause)

    async def _cause_of_death(self) -> str:
        try:
            async with asyncio.timeout(LEAVE):
                code = await self._process.wait()
        except TimeoutError:
            await self.kill()
            return "closed its socket to the worker, and was killed"
        await self.kill()
        if self._closing:
            raise asyncio.CancelledError
        return f"exited with code {code}" if code >= 0 else f"killed by {_signal_name(-code)}"

    async def end(self) -> None:
        """Lets an idle process end by itself, and kills any other."""
        self._closing = True
        if self.usable:
            self._writer.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE):
                    await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Kills the process and what its jobs have started, and waits for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.close()
        await self._process.wait()


class Children:
    """At most ``most`` warm child processes, each started when it is first needed."""

    def __init__(self, target: str | None, settings: Settings, most: int, recycle: int = 1_000) -> None:
        self._target = target
        self._settings = settings
        self._recycle = recycle
        self._slots = asyncio.Semaphore(most)
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def run(self, active: ActiveRun, *, fresh: bool = False) -> bytes:
        """The result of the active run's function, as JSON text. ``fresh``: in a new process that ends afterwards,
        beside the ``most`` others; for all others it may wait until a process is free.

        When it is cancelled, so is the function: an ``async def`` is cancelled in its own process, and any other sees
        ``ctx.cancelled``, then gets a SIGTERM; what has not ended after two seconds is killed. Only then does this
        return; cancelled once more, it returns at once and kills the process. The job's time does not run while it
        waits for a process.

        Raises:
            ChildRaised: the function has raised, or its input or result does not fit.
            ChildDied: the process has died.
            ChildNotStarted: there is none, and none could be started.
        """
        active.stop_clock()
        if fresh:
            return await self._run_in(await self._start(), active, keep=False)
        async with self._slots:
            return await self._run_in(self._take_idle() or await self._start(), active, keep=True)

    def _take_idle(self) -> Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
            self._end(child)
        return None

    async def _start(self) -> Child:
        child = await Child.start(self._target, self._settings)
        self._all.add(child)
        if self._closed:
            self._end(child)
            raise asyncio.CancelledError
        return child

    async def _run_in(self, child: Child, active: ActiveRun, keep: bool) -> bytes:
        try:
            return await child.run(active)
        finally:
            if keep and child.usable and child.runs < self._recycle and not self._closed:
                self._idle.append(child)
            else:
                self._end(child)

    def _end(self, child: Child) -> None:
        """In the background: nobody has to wait for it."""
        self._all.discard(child)
        task = asyncio.create_task(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Ends all processes; those that still run a job are killed, and the job's ``run`` is cancelled."""
        self._closed = True
        self._idle.clear()
        for child in list(self._all):
            self._end(child)
        if self._ending:
            await asyncio.wait(self._ending)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
