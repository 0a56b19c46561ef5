"""The main program of a worker process: ``python -m async_job.worker.process``, started by a supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import uvloop

from async_job import logs
from async_job.errors import NotEnrolled, StoreUnavailable, UsageError
from async_job.jobs import Jobs
from async_job.loading import freeze_loaded, load_jobs
from async_job.logs import get_logger
from async_job.store.protocol import Store
from async_job.worker.board import Board
from async_job.worker.children import Children
from async_job.worker.launch import EX_CONFIG, EX_RETIRED, Launch, receive_launch
from async_job.worker.loop_monitor import LoopMonitor
from async_job.worker.parent import end_with_parent
from async_job.worker.signs import Signs
from async_job.worker.worker import Worker

STORE_PAUSE = 1.0

log = get_logger()


def main() -> int:
    """Runs one worker until it is drained; the exit code is for the supervisor."""
    launch = receive_launch()
    end_with_parent(launch.life_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(launch.settings)
    try:
        jobs = load_jobs(launch.target)
        jobs.configure(settings=launch.settings)
        known = len(jobs.functions)
    except UsageError as error:
        Signs(launch.signs_fd).refuse(str(error))
        return EX_CONFIG
    log.debug("worker starts", worker=launch.worker, types=known)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work(launch, jobs))


async def _work(launch: Launch, jobs: Jobs) -> int:
    store = await _open(jobs)
    signs = Signs(launch.signs_fd)
    children = Children(launch.target, launch.settings, launch.settings.processes)
    board = Board(launch.settings.concurrency, launch.board_fd)
    worker = Worker(jobs, store, launch.worker, children=children, on_deadline=signs.deadline, board=board)
    freeze_loaded()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.drain)
    signs.start()
    try:
        with LoopMonitor(launch.settings.loop_warning, own_process=True):
            await worker.run()
    except NotEnrolled as error:
        log.warning("the worker's id was retired, starting anew", error=str(error))
        os._exit(EX_RETIRED)
    if worker.busy:
        # A thread, or a function that swallows its cancellation, would keep the process alive; what it holds is
        # handed back by the supervisor.
        os._exit(0)
    signs.close()
    await jobs.close()
    return 0


async def _open(jobs: Jobs) -> Store:
    """The store; while it is away, the worker waits for it."""
    while True:
        try:
            return await jobs.store()
        except StoreUnavailable as error:
            log.warning("the store does not answer, trying again", error=str(error))
            await asyncio.sleep(STORE_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
