"""A supervisor as a program of its own, for tests that kill it: `python -m support.supervised` with its settings.

with Program(settings, target="support.ledger:jobs", ledger=tmp_path / "ledger") as program:
    os.kill(program.workers()[0], signal.SIGKILL)
"""

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from async_job import logs
from async_job.settings import Settings
from async_job.worker import supervisor

TESTS = Path(__file__).parents[1]


class Plan(Struct, frozen=True):
    settings: Settings
    target: str | None
    serve: bool = False
    reload: bool = False
    parent: int = 0
    port: int = 0
    version: str = ""


def wait_until(condition: Callable[[], object], timeout: float = 20.0, what: str = "it") -> None:
    """Returns as soon as the condition holds; fails after `timeout` seconds."""
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, f"{what} did not come about within {timeout:g} s"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def descendants(pid: int) -> list[int]:
    """The processes that this one has started, and those that they have."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = [int(child) for child in children.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            # This thread has ended meanwhile, and its children went to another one, which may have been read already.
            return descendants(pid)
        for child in pids:
            found += [child, *descendants(child)]
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Program:
    """One supervisor with its children. `output` is the file with what all of them print."""

    def __init__(
        self, settings: Settings, folder: Path, target: str | None = "support.ledger:jobs", *,
        serve: bool = False, reload: bool = False, port: int = 0, ledger: Path | None = None,
        version: str = "", environ: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.folder = folder
        self.ledger = ledger or folder / "ledger"
        self.output = folder / "output"
        self._plan = Plan(settings, target, serve, reload, os.getpid(), port, version)
        self._environ = {"PYTHONPATH": str(TESTS), "LEDGER": str(self.ledger), **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, ready: bool = True) -> Self:
        """Starts it; returns when all its children are at work, or with `ready=False` at once."""
        before = self.text().count("\nready\n")
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.supervised", msgspec.json.encode(self._plan).decode()],
                cwd=self.folder,
                env={**os.environ, **self._environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if ready:
            process = self._process
            wait_until(lambda: self.text().count("\nready\n") > before or process.poll() is not None, what="a start")
            assert process.poll() is None, self.text()
        return self

    def text(self) -> str:
        return "\n" + self.output.read_text(errors="replace") if self.output.exists() else ""

    def children(self) -> list[int]:
        return descendants(self.pid)

    def workers(self) -> list[int]:
        """The pids of the worker processes, the latest started last."""
        return sorted(pid for pid in self.children() if "async_job.worker.process" in command_of(pid))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @property
    def port(self) -> int:
        """The port that it serves HTTP on."""
        found = re.search(r"^port (\d+)$", self.text(), re.MULTILINE)
        assert found
        return int(found[1])

    def servers(self) -> list[int]:
        """The pid of the HTTP process, if there is one now."""
        return [pid for pid in self.children() if "async_job.server" in command_of(pid)]

    def wait(self, timeout: float = 20.0) -> int:
        """The exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL to the supervisor alone; does nothing when it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def kill_all(self) -> None:
        """SIGKILL to the supervisor and all its children."""
        children = self.children()
        self.kill()
        for pid in children:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def end_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process with the one that started it: a test that is killed leaves nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the test has ended")


def main() -> int:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    end_with_parent(plan.parent)
    if os.environ.get("PLANTED"):
        from support import planted

        planted.plant()
    if plan.version:
        setattr(supervisor, "version", lambda name: plan.version)  # noqa: B010 - it is not its to export
    logs.configure(plan.settings)
    listen = None
    if plan.serve:
        listen = socket.create_server(("127.0.0.1", plan.port))
        print("port", listen.getsockname()[1], flush=True)
    return supervisor.run(
        plan.target,
        plan.settings,
        listen=listen,
        reload=plan.reload,
        on_ready=lambda: print("ready", flush=True),
    )


if __name__ == "__main__":
    sys.exit(main())
