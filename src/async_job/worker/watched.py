"""A child process as its supervisor sees it: started, heard of through a pipe, asked to end, killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import Callable
from typing import Final, Self

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from async_job.logs import get_logger
from async_job.worker import board
from async_job.worker.launch import Launch
from async_job.worker.verdict import Deadline, End, Killed

LONGEST_LINE: Final = 65_536

log = get_logger()


class Sign(Struct, frozen=True):
    """One line of the pipe: the process lives, and what it has to say. ``ready``: it is at work. ``refusal``: why it
    cannot ever be."""

    ready: bool = False
    deadline: float | UnsetType | None = UNSET
    job: str | None = None
    token: str | None = None
    refusal: str = ""


class WatchedProcess:
    """One process from its start to its end. Made by ``start``."""

    def __init__(
        self, name: str, process: Process, signs: int, board_fd: int, on_ready: Callable[[], None], memory_limit: int
    ) -> None:
        self.name = name
        self.memory_limit = memory_limit
        """Bytes; 0: none."""
        self.deadline: Deadline | None = None
        self.heard_at = time.monotonic()
        self._process = process
        self._signs = signs
        self._board = board_fd
        self._on_ready = on_ready
        self._received = b""
        self._ready = False
        self._refusal = ""
        self._asked = False
        self._killed: Killed | None = None
        os.set_blocking(signs, False)
        asyncio.get_running_loop().add_reader(signs, self._listen)

    @classmethod
    async def start(cls, name: str, module: str, launch: Launch, on_ready: Callable[[], None]) -> Self:
        """Runs ``python -m module`` with the launch, with a pipe for its signs, and a board if it is a worker.

        Raises:
            OSError: the system starts no more processes.
        """
        reading, writing = os.pipe()
        board_fd = -1
        # -P: the current folder comes onto the path with the application, not before the standard library.
        command = [sys.executable, "-P", "-m", module]
        try:
            if launch.worker:
                board_fd = board.create(launch.settings.concurrency)
            launch = replace(launch, signs_fd=writing, board_fd=board_fd)
            # A session of its own keeps the Ctrl-C of the terminal from it.
            process = await create_subprocess_exec(
                *command, stdin=DEVNULL, env=launch.environ(), pass_fds=launch.fds, start_new_session=True
            )
        except BaseException:
            os.close(reading)
            if board_fd >= 0:
                os.close(board_fd)
            raise
        finally:
            os.close(writing)
        limit = launch.settings.worker_memory_limit if launch.worker else 0
        return cls(name, process, reading, board_fd, on_ready, limit)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Asks it to end; the second time, to end at once."""
        self._asked = True
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            self._process.send_signal(signal.SIGTERM)

    def kill(self, why: Killed) -> None:
        """Kills it and what it has started. Does nothing when it has ended."""
        if self._process.returncode is None and self._killed is None:
            self._killed = why
            log.warning("killing a process", name=self.name, pid=self.pid, why=str(why))
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> End:
        """How it ended."""
        try:
            code = await self._process.wait()
            self._listen()
        finally:
            self._hang_up()
        return End(
            code=code,
            asked=self._asked,
            killed=self._killed if code == -signal.SIGKILL else None,
            deadline=self.deadline,
            running=self._take_board(),
            was_ready=self._ready,
            refusal=self._refusal,
        )

    def _listen(self) -> None:
        if self._signs < 0:
            return
        try:
            received = os.read(self._signs, LONGEST_LINE)
        except BlockingIOError:
            return
        if not received:
            self._hang_up()
            return
        *lines, self._received = (self._received + received).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            sign = msgspec.json.decode(line, type=Sign)
        except msgspec.DecodeError as error:
            log.warning("a sign that cannot be read", name=self.name, pid=self.pid, error=str(error))
            return
        self.heard_at = time.monotonic()
        self._refusal = sign.refusal or self._refusal
        if not isinstance(sign.deadline, UnsetType):
            self.deadline = None if sign.deadline is None else Deadline(sign.deadline, sign.job or "", sign.token or "")
        if sign.ready and not self._ready:
            self._ready = True
            self._on_ready()

    def _take_board(self) -> frozenset[bytes]:
        """What ran at the end."""
        if self._board < 0:
            return frozenset()
        running = board.read(self._board)
        os.close(self._board)
        self._board = -1
        return running

    def _hang_up(self) -> None:
        if self._signs >= 0:
            asyncio.get_running_loop().remove_reader(self._signs)
            os.close(self._signs)
            self._signs = -1
