"""A child process's end of the socket to its worker."""

from __future__ import annotations

import os
import select
import socket
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final

from async_job.clock import SystemClock
from async_job.core.job import Job
from async_job.worker.active import ActiveRun
from async_job.worker.frames import Cancel, End, FromChild, News, Run, ToChild, decode_in_child, encode
from async_job.worker.parent import EX_ORPHANED

NEWS_EVERY: Final = 0.05
"""Seconds in which progress and log lines are gathered."""
LINES_AT_ONCE: Final = 10


class Channel:
    """A thread listens to the worker, and tells it what the running job has said: the job itself never waits."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._sending = Lock()
        self._active: ActiveRun | None = None
        self._jobs: SimpleQueue[ActiveRun | None] = SimpleQueue()
        # A process that the job forks must not hold the socket open when this one is gone.
        os.register_at_fork(after_in_child=self._socket.close)

    def listen(self) -> None:
        """Starts the thread."""
        Thread(target=self._listen, name="async-job-channel", daemon=True).start()

    def next(self) -> ActiveRun | None:
        """Waits for the next job; ``None``: the worker needs this process no longer."""
        return self._jobs.get()

    def send(self, frame: FromChild) -> None:
        with self._sending:
            self._write(frame)

    def finish(self, end: End) -> None:
        """Tells the job's last news and its end. Nothing that it says later, in a thread it left, is told."""
        with self._sending:
            self._tell_news()
            self._active = None
            self._write(end)

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        pending = b""
        while True:
            if not poll.poll(None if self._active is None else NEWS_EVERY * 1000):
                with self._sending:
                    self._tell_news()
                continue
            received = self._receive()
            if not received:
                self._end()
                return
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                self._hear(line)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""

    def _hear(self, line: bytes) -> None:
        frame: ToChild = decode_in_child(line)
        match frame:
            case Run(job):
                self._active = _active(job)
                self._jobs.put(self._active)
            case Cancel():
                if self._active is not None:
                    self._active.stop()

    def _end(self) -> None:
        """The worker has let go. A process that is idle ends in order, one that runs a job at once."""
        if self._active is not None:
            os._exit(EX_ORPHANED)
        self._jobs.put(None)

    def _tell_news(self) -> None:
        if self._active is None or not self._active.has_news:
            return
        progress, lines = self._active.take()
        texts = [line.message for line in lines]
        self._write(News(progress, tuple(texts[:LINES_AT_ONCE])))
        for start in range(LINES_AT_ONCE, len(texts), LINES_AT_ONCE):
            self._write(News(None, tuple(texts[start : start + LINES_AT_ONCE])))

    def _write(self, frame: FromChild) -> None:
        try:
            self._socket.sendall(encode(frame) + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            # There is nobody left to tell.
            os._exit(EX_ORPHANED)


def _active(job: Job) -> ActiveRun:
    return ActiveRun(job, SystemClock().now)
