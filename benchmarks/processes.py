"""Workers as processes: started, found with all that they started, stopped and killed by their pids."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

PAUSE = 1.0


def descendants(pid: int) -> list[int]:
    """The processes that this one has started, and those that they have."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = [int(child) for child in children.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in started:
            found += [child, *descendants(child)]
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


class Worker:
    """One worker, as its command line makes it, and its children."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
        self._command = command
        self._folder = folder
        self._environment = environment
        self._output = output
        self._known: set[int] = set()
        self._ended_at: float | None = None
        self.deaths = 0
        self._start()

    def _start(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def pids(self) -> list[int]:
        """The worker's own and its children's, of which it is remembered whose they were."""
        living = [self._process.pid, *descendants(self._process.pid)]
        self._known.update(living)
        return living

    def ever(self) -> set[int]:
        """The pids of all that were seen to be its own."""
        return {*self._known, *self.pids()}

    def keep_running(self) -> None:
        """Starts it again a second after it has ended, as a process manager would."""
        self.pids()
        if self._process.poll() is None:
            self._ended_at = None
        elif self._ended_at is None:
            self.deaths += 1
            self._ended_at = time.monotonic()
        elif time.monotonic() - self._ended_at > PAUSE:
            self._start()

    def end(self) -> None:
        """SIGKILL, also to children that outlived their parent."""
        self.pids()
        self._process.kill()
        self._process.wait(10)
        send((pid for pid in self._known if self._is_ours(pid)), signal.SIGKILL)

    def _is_ours(self, pid: int) -> bool:
        """A pid may have been given to another process since; ours have our ledger in their environment."""
        try:
            return self._environment["LEDGER"].encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
