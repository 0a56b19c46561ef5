"""A user's own application under a user's own uvicorn: `python -m uvicorn module:app`."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

from support.commands import environment
from support.servers import DIE_WITH_PARENT
from support.supervised import TESTS, wait_until


class Uvicorn:
    """Serves an application of the folder or of `tests/` on a free port, from when it answers until the block ends."""

    def __init__(self, app: str, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ledger = folder / "ledger"
        self._output = folder / "uvicorn"
        guard = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid())]
        serve = [sys.executable, "-m", "uvicorn", app, "--port", str(self.port), *arguments]
        path = os.pathsep.join(filter(None, [str(folder), str(TESTS), os.environ.get("PYTHONPATH")]))
        more = {"PYTHONPATH": path, "LEDGER": str(self.ledger), **(environ or {})}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*guard, *serve],
                cwd=folder,
                env=environment(more),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        wait_until(lambda: self.process.poll() is not None or self._answers(), what="a start")
        assert self.process.poll() is None, self.log
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        return self._output.read_text(errors="replace")

    def stop(self, timeout: float = 20) -> int:
        """Ends it in order; its exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def _answers(self) -> bool:
        """Whether it serves; what it serves does not matter."""
        try:
            httpx.get(self.url, trust_env=False)
        except httpx.TransportError:
            return False
        return True
