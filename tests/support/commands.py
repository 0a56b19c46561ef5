"""The command `async-job` as a user runs it: real processes, in a folder of the test's own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from support.servers import DIE_WITH_PARENT

COMMAND = (sys.executable, "-m", "async_job_command")
START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what could be a setting, and with more."""
    prefixes = ("ASYNC_JOB_", "CONNECTIONSTRINGS__")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(prefixes)}
    return {**kept, **(more or {})}


def run_command(
    *arguments: str, folder: Path, environ: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end; its streams are no terminal."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class Serving:
    """`async-job serve` on a free port, from the greeting on until `stop` or `kill`."""

    def __init__(self, *arguments: str, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self._arguments = arguments
        self.folder = folder
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0
        self.url = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def greeting(self) -> str:
        """What the present run has written to standard output."""
        return self._out.read_text()

    @property
    def log(self) -> str:
        """What the present run has written to standard error."""
        return self._err.read_text()

    @property
    def _out(self) -> Path:
        return self.folder / f"serve-{self._started}.out"

    @property
    def _err(self) -> Path:
        return self.folder / f"serve-{self._started}.err"

    def start(self) -> Self:
        """Starts it, a second time on the same port, and returns when it has greeted."""
        self._started += 1
        # The supervisor dies with the tests, and its children with it.
        guard = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid())]
        serve = [*COMMAND, "serve", *self._arguments, "--port", str(self.port) if self.url else "0"]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*guard, *serve],
                cwd=self.folder,
                env=environment(self._environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            found = re.search(r" on (http://\S+)\n(?s:.)*Ctrl-C.*\n", self.greeting)
            if found:
                self.url = found[1]
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"async-job serve did not greet:\n{self.greeting}\n{self.log}")

    def stop(self) -> int:
        """Ends it in order; its exit code."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        return process.wait(STOP_TIMEOUT)

    def kill(self) -> None:
        """SIGKILL to the supervisor, which takes its children with it. Does nothing when it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("the server does not run")
        return self._process
