"""The workers of ``async-job bench``: ``python -m async_job.cli.bench_worker FD`` supervises them until it is told to
stop, or its parent goes. The settings come by standard input."""

from __future__ import annotations

import signal
import sys

import msgspec

from async_job import logs
from async_job.jobs import Jobs
from async_job.settings import Settings
from async_job.worker import supervisor
from async_job.worker.parent import end_with_parent

TARGET = "async_job.cli.bench_worker:jobs"

jobs = Jobs()


@jobs.job
async def nothing() -> None:
    """Does nothing."""


def main() -> int:
    """Runs until SIGTERM; the exit code."""
    end_with_parent(int(sys.argv[1]))
    # Ctrl-C is for the command, which then stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=Settings)
    logs.configure(settings, sys.stderr)
    return supervisor.run(TARGET, settings)


if __name__ == "__main__":
    sys.exit(main())
