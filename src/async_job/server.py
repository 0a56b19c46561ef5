"""The HTTP server: a process of its own (``python -m async_job.server``, started by a supervisor), or together with
a worker in this process, for stores that no other process can reach."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
import uvloop
from starlette.types import ASGIApp

from async_job import asgi, logs
from async_job.errors import StoreRefused, StoreUnavailable, UsageError
from async_job.jobs import Jobs
from async_job.loading import freeze_loaded, load_jobs
from async_job.settings import Settings
from async_job.web.closing import Closing
from async_job.web.connection import connection_class
from async_job.worker.launch import EX_CONFIG, receive_launch
from async_job.worker.parent import end_with_parent
from async_job.worker.signs import Signs

KEEP_ALIVE: Final = 15
"""Seconds for which a connection without a request is kept."""

OTHER_FILES: Final = 200
"""Open files besides connections: those of the store, and of child processes."""

LAST_CLOSE: Final = 0.5
"""Seconds that the application may take to close its store when it was told to end at once."""

INTERRUPTED: Final = 130

YOUNG: Final = 10_000
"""So many objects more than at the last look make the garbage collector look again. A request leaves nothing that only
the collector finds, and by Python's own 700 the collector would look every 40 requests at those that are under way."""

HAND_OVER: Final = 20e-6
"""Seconds for which a thread that can go on waits for the one that runs. The store in a file has a thread that writes,
and by Python's own 5 ms it would wait that long for the event loop, with all requests whose jobs it stores."""

OnReady = Callable[[], None]

log = logs.get_logger()


class Server(uvicorn.Server):
    """uvicorn with our own signals: it ends in order, with an exit code, and keeps nobody waiting meanwhile.
    ``end_at_once`` is called at the second signal."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        closing: Closing,
        on_ready: OnReady | None,
        end_at_once: Callable[[], None] | None = None,
    ) -> None:
        self._closing = closing
        self._on_ready = on_ready
        self._end_at_once = end_at_once
        super().__init__(
            uvicorn.Config(
                app,
                http=connection_class(settings, _room_for(settings.max_connections)),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=max(1, round(settings.grace)),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)
        if self.force_exit:
            # uvicorn would leave the application as it is, and the end of the loop be told as an error of it.
            with suppress(TimeoutError):
                await asyncio.wait_for(self.lifespan.shutdown(), LAST_CLOSE)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The first signal asks for an end in order, the second for one at once. uvicorn's own handling would end the
        process by the signal."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self.should_exit and self._end_at_once is not None:
            self._end_at_once()
        self.force_exit = self.should_exit
        self.should_exit = True


def serve_embedded(
    jobs: Jobs, listen: socket.socket, on_ready: OnReady | None = None, *, target: str | None = None
) -> int:
    """Serves HTTP on the bound, listening socket and runs the jobs, all in this process, until a signal ends it.
    ``target`` is for child processes, see ``asgi.lifespan``. The exit code.

    Raises:
        StoreRefused: the store is set up in a way that would lose jobs.
    """
    closing = Closing()
    app = asgi.app(jobs, worker=True, target=target, closing=closing)
    return _run(jobs, Server(app, jobs.settings, closing, on_ready, _end_at_once), listen)


def _end_at_once() -> None:
    """Ends this process. A thread with a job in it would hold up any other end, and the store goes with it anyway."""
    log.warning("ending at once; what was running is lost")
    os._exit(INTERRUPTED)


def main() -> int:
    """Serves HTTP until SIGTERM; the exit code is for the supervisor."""
    launch = receive_launch()
    end_with_parent(launch.life_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(launch.settings)
    signs = Signs(launch.signs_fd)
    closing = Closing()
    try:
        jobs = load_jobs(launch.target)
        jobs.configure(settings=launch.settings)
        # The built-in job is registered by this, or cannot be.
        log.debug("the server starts", types=len(jobs.functions))
        server = Server(asgi.app(jobs, closing=closing), launch.settings, closing, signs.start)
        return _run(jobs, server, socket.socket(fileno=launch.listen_fd))
    except (UsageError, StoreRefused) as error:
        signs.refuse(str(error))
        return EX_CONFIG


def _room_for(connections: int) -> int:
    """How many connections there can be, once this process may open as many files as that takes."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if allowed == resource.RLIM_INFINITY:
        return connections
    if allowed < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    if allowed < wanted:
        log.warning("this process may not open enough files for max_connections: raise `ulimit -Hn`", files=allowed)
    return max(1, min(connections, allowed - OTHER_FILES))


def _run(jobs: Jobs, server: Server, listen: socket.socket) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(jobs, server, listen))


async def _serve(jobs: Jobs, server: Server, listen: socket.socket) -> int:
    try:
        await jobs.store()
    except StoreUnavailable as error:
        # The application says so, and tries again.
        log.debug("the store does not answer", error=str(error))
    freeze_loaded()
    gc.set_threshold(YOUNG)
    sys.setswitchinterval(HAND_OVER)
    await server.serve([listen])
    return 0


if __name__ == "__main__":
    sys.exit(main())
