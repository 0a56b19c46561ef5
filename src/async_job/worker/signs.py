"""What a worker process tells its supervisor over a pipe: that it lives, and when it has to be killed."""

from __future__ import annotations

import os
import threading
from typing import Final

import msgspec

from async_job.worker.active import ActiveRun

EVERY: Final = 1.0
"""Seconds between two signs of life."""


class Signs:
    """Writes JSON lines to the pipe. The signs of life come from a thread: a blocked event loop is no reason to be
    killed, a process that cannot run any Python at all is."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="async-job-signs", daemon=True)

    def start(self) -> None:
        """Says that the worker claims jobs, and lives from now on."""
        self._write({"ready": True})
        self._thread.start()

    def refuse(self, reason: str) -> None:
        """Says why this process cannot work, however often it is started; the supervisor tells the user once."""
        self._write({"refusal": reason})

    def deadline(self, first: ActiveRun | None) -> None:
        """Says which run has to be killed first, and when; ``None``: none."""
        if first is None:
            self._write({"deadline": None, "job": None, "token": None})
        else:
            self._write({"deadline": first.hard_deadline, "job": first.job.id, "token": first.token})

    def _live(self) -> None:
        while not self._ended.wait(EVERY):
            self._write({"alive": True})

    def _write(self, sign: dict[str, object]) -> None:
        """One line, in one piece: lines this short are written to a pipe whole or not at all."""
        try:
            os.write(self._fd, msgspec.json.encode(sign) + b"\n")
        except BrokenPipeError:
            # The supervisor is gone, and this process is about to end for the same reason.
            self._ended.set()

    def close(self) -> None:
        self._ended.set()
