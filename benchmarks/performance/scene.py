"""One side with a store of its own: its driver, its workers, and what they leave in the trace."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import marks
from processes import Worker
from redis import Redis
from sides import Side

from support.servers import DIE_WITH_PARENT, Server, find_redis

FOLDER = Path(__file__).parent
PATIENCE = 300.0
"""Nothing is waited for longer than this, in seconds."""
STALL = 40.0
"""Nor longer than this for the next job to end."""
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(RuntimeError):
    """A side could not do what it was asked; the table shows why."""


class Scene:
    """`with Scene(side, python, folder) as scene:` has a new store and no workers; at the end all is killed."""

    def __init__(self, side: Side, python: Path, folder: Path, *, processes: int = 1, concurrency: int = 10) -> None:
        self.side = side
        self._python = python
        self._folder = folder
        self._processes = processes
        self._trace = folder / "trace"
        self._trace.mkdir()
        self.server: Server | None = None
        if side.store == "redis":
            binary = find_redis()
            if binary is None:
                raise SystemExit("no redis-server is on the path (Debian: package redis-server)")
            self.server = Server(binary, folder / "redis")
        self._more = {"CONCURRENCY": str(concurrency), "VARIANT": side.variant}
        self.workers: list[Worker] = []
        self._driver: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if self.server is not None:
            self.server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.workers:
            worker.end()
        if self._driver is not None:
            self._driver.kill()
            # Its pipes are closed with it.
            self._driver.communicate(timeout=10)
        if self.server is not None:
            self.server.kill()

    @property
    def url(self) -> str:
        return f"sqlite:///{self._folder / 'store.db'}" if self.server is None else self.server.url

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self._python.parent}:/usr/bin:/bin",
            "HOME": str(self._folder),
            "STORE": self.url,
            "LEDGER": str(self._trace),
            "TRACE": str(self._trace),
            "PYTHONPATH": str(FOLDER),
            **self._more,
        }

    def _command(self, line: list[str]) -> list[str]:
        """A command of the side's environment, by its path."""
        return [str(self._python.parent.parent / line[0]), *line[1:]]

    def ask(self, question: str, **given: object) -> Any:
        """Asks the driver, which is started first if need be. Raises `Failed`."""
        if self._driver is None:
            command = [str(self._python), str(FOLDER / "driver.py"), self.side.adapter]
            with (self._folder / "driver.log").open("w") as log:
                self._driver = subprocess.Popen(
                    command, cwd=FOLDER, env=self.environment, text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                )  # fmt: skip
            self.ask("connect")
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps({"ask": question, **given}) + "\n")
        self._driver.stdin.flush()
        limit = threading.Timer(PATIENCE, self._driver.kill)
        limit.start()
        line = self._driver.stdout.readline()
        limit.cancel()
        if not line:
            raise Failed(f"{question}: the driver ended, or had no answer for {PATIENCE:g} s: {self.log('driver.log')}")
        told = json.loads(line)
        if "error" in told:
            raise Failed(f"{question}: {told['error']}")
        return told["answer"]

    def log(self, pattern: str = "worker-*.log") -> str:
        return "\n".join(path.read_text(errors="replace")[-600:] for path in sorted(self._folder.glob(pattern)))

    def start_workers(self) -> None:
        lines = self.ask("about", processes=self._processes)["workers"]
        for number, line in enumerate(lines):
            self.start(line, f"worker-{number}.log")

    def start(self, line: list[str], log: str = "worker-0.log") -> None:
        """Starts a process of the side's environment that is ended with the scene."""
        # It goes with the harness, however that ends.
        guard = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid())]
        self.workers.append(Worker([*guard, *self._command(line)], FOLDER, self.environment, self._folder / log))

    def pids(self) -> list[int]:
        return [pid for worker in self.workers for pid in worker.pids()]

    def ran(self) -> int:
        """How many jobs have ended by now."""
        return marks.count(self._trace)

    def rate(self) -> float:
        """See `marks.rate`."""
        return marks.rate(self._trace)

    def until_ran(self, count: int) -> None:
        """Waits until so many jobs have ended. Raises `Failed` when none does for `STALL` seconds."""
        begin = since = time.monotonic()
        ran = 0
        while (now := self.ran()) < count:
            if now > ran:
                ran, since = now, time.monotonic()
            elif time.monotonic() - since > STALL:
                raise Failed(f"{ran} of {count} jobs ran, then none for {STALL:g} s; {self.log()}")
            if time.monotonic() - begin > 2 * PATIENCE:
                raise Failed(f"{ran} of {count} jobs ran in {2 * PATIENCE:g} s")
            time.sleep(0.02)

    def until(self, met: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
        end = time.monotonic() + seconds
        while not met():
            if time.monotonic() > end:
                raise Failed(f"{otherwise()}; {self.log()}")
            time.sleep(0.02)

    def uss(self) -> list[int]:
        """Bytes that belong to each process of the workers alone."""
        found = []
        for pid in self.pids():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found.append(sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_")))
        return found

    def cpu(self) -> float:
        """Seconds of processor time that the workers have used."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids()]
        return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS

    def used_memory(self) -> int:
        assert self.server is not None
        with Redis(port=self.server.port) as redis:
            return int(redis.info("memory")["used_memory"])
