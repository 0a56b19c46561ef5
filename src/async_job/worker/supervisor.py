"""The supervisor: starts the HTTP process and the workers, watches them, and keeps house in the store.

It runs no user code and never imports the application, so nothing that a job does can harm it. It renews the leases of
its workers, hands back what they held when they die, and starts others in their place.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from async_job.errors import AsyncJobError, SettingsError, StoreUnavailable
from async_job.logs import get_logger
from async_job.settings import Settings
from async_job.store.open import make_store
from async_job.store.protocol import Worker
from async_job.worker.contact import Contact
from async_job.worker.deliverer import keep_delivering
from async_job.worker.expirer import keep_expiring
from async_job.worker.handback import hand_back
from async_job.worker.keeper import Keeper
from async_job.worker.launch import Launch
from async_job.worker.lookout import Lookout
from async_job.worker.purger import keep_purging
from async_job.worker.reloader import check_reload, keep_reloading
from async_job.worker.renewer import Renewer
from async_job.worker.rescuer import keep_rescuing
from async_job.worker.verdict import End, Killed
from async_job.worker.watchdog import keep_watch
from async_job.worker.watched import WatchedProcess

EX_USAGE: Final = 2
OVERSTAY: Final = 1.0
"""Seconds that processes have after the grace, or after the second request to end, before they are killed."""
LAST_HAND_BACK: Final = 2.0
"""Seconds that the last jobs may take to be handed back; a lapsing lease hands them back otherwise."""
STORE_PAUSE: Final = 0.2
PROMPT: Final = 1.0
"""Seconds after which somebody is told that the store has not answered yet."""

log = get_logger()


def run(
    target: str | None,
    settings: Settings,
    *,
    listen: socket.socket | None = None,
    reload: bool = False,
    on_ready: Callable[[], None] | None = None,
    on_wait: Callable[[], None] | None = None,
) -> int:
    """Runs the HTTP process, if there is a socket to ``listen`` on, and the workers, until a SIGTERM or SIGINT; the
    exit code. ``reload``: starts them anew when a Python file below the current folder changes. ``on_ready`` is
    called once, when all of them have come to work; ``on_wait`` before, if the store does not answer promptly."""
    try:
        check_shared(settings)
        if reload:
            check_reload()
        asyncio.run(Supervisor(target, settings, listen, reload, on_ready or nothing, on_wait or nothing).run())
    except AsyncJobError as error:
        print(f"async-job: {error}", file=sys.stderr)  # noqa: T201 - for the terminal, as a command's error
        return EX_USAGE
    return 0


def check_shared(settings: Settings) -> None:
    """Raises ``SettingsError`` when the store cannot be shared by processes."""
    if settings.store.startswith("memory:"):
        raise SettingsError("store is memory://, which lives in one process; processes share sqlite:/// or redis://")


def nothing() -> None:
    """Nobody wants to know."""


class Supervisor:
    """One program's processes. Made inside ``run``; ends with the event loop that it ran in."""

    def __init__(
        self,
        target: str | None,
        settings: Settings,
        listen: socket.socket | None,
        reload: bool,
        on_ready: Callable[[], None],
        on_wait: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._reload = reload
        self._on_ready = on_ready
        self._on_wait = on_wait
        self._store = make_store(settings.store, namespace=settings.namespace, allow_eviction=settings.allow_eviction)
        self._contact = Contact(settings.lease, self._store.now)
        self._renewer = Renewer(self._store, settings.lease, settings.renew, self._contact, self._replace_lost)
        # Nobody writes to this pipe: it ends with this process, and its children read that.
        life_fd, self._life = os.pipe()
        listen_fd = -1 if listen is None else listen.fileno()
        self._launch = Launch(target=target, settings=settings, life_fd=life_fd, listen_fd=listen_fd)
        self._keepers = [self._keep_worker(n) for n in range(1, settings.workers + 1)]
        if listen is not None:
            self._keepers.append(self._keep_server())
        self._looked = asyncio.Event()
        self._opened = asyncio.Event()
        self._stopped = asyncio.Event()
        self._told_ready = False
        self._hand_backs: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until it is asked to stop, and everything that it started has ended.

        Raises:
            UsageError: the application can never work.
            StoreRefused: the store must not be used.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # nohup has the end of the terminal ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._stop_on_signal)
        keeping = {asyncio.create_task(keeper.run()) for keeper in self._keepers}
        tending = {asyncio.create_task(loop) for loop in self._loops()}
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({*keeping, *tending, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not self._stopped.is_set():
                self._stop()
            await self._drain(keeping)
        finally:
            for task in (*keeping, *tending, *self._hand_backs, stopped):
                task.cancel()
            await asyncio.wait({*keeping, *tending, *self._hand_backs, stopped})
            await self._store.close()
        for task in (*keeping, *tending):
            if not task.cancelled() and (error := task.exception()):
                raise error
        log.info("drained")

    def _loops(self) -> Iterable[Coroutine[Any, Any, None]]:
        yield keep_watch(self._processes, self._settings.stall_timeout)
        yield self._keep_house()
        if self._reload:
            yield keep_reloading(Path.cwd(), self._replace_all)

    async def _keep_house(self) -> None:
        """Opens the store, however long that takes, renews the leases and keeps it in order."""
        await self._open()
        store, contact, retention = self._store, self._contact, self._settings.retention
        lookout = Lookout(store, contact)
        await asyncio.gather(
            self._renewer.run(),
            lookout.run(),
            keep_rescuing(store, retention, contact, self._renewer, lookout),
            keep_expiring(store, retention, contact, lookout),
            keep_purging(store, contact),
            keep_delivering(store, self._settings, contact, lookout),
        )

    async def _open(self) -> None:
        waiting = asyncio.get_running_loop().call_later(PROMPT, self._on_wait)
        try:
            while True:
                if await self._try_to_open():
                    break
                await asyncio.sleep(STORE_PAUSE)
        finally:
            waiting.cancel()
        with self._contact:
            health = await self._store.health()
            # Said here, and not by each process that opens the store.
            log.info("the store is open", backend=health.backend, durability=health.durability)

    async def _try_to_open(self) -> bool:
        try:
            await self._store.open()
        except StoreUnavailable as error:
            self._contact.away(error)
            self._looked.set()
            return False
        self._contact.back()
        self._looked.set()
        self._opened.set()
        return True

    def _keep_worker(self, n: int) -> Keeper:
        return Keeper(f"worker {n}", "async_job.worker.process", self._enlist, self._bury, self._note_ready)

    def _keep_server(self) -> Keeper:
        async def prepare() -> Launch | None:
            # A store that must not be used stops all before anything is served; one that is away does not.
            await self._looked.wait()
            return None if self._stopped.is_set() else self._launch

        return Keeper("server", "async_job.server", prepare, self._bury, self._note_ready)

    async def _enlist(self) -> Launch | None:
        """Enrolls a worker under a new id; ``None`` when it is asked to stop before the store has taken it."""
        settings = self._settings
        await self._opened.wait()
        worker = Worker(
            id=secrets.token_hex(8),
            host=socket.gethostname(),
            # The process itself starts only when the store knows its id.
            pid=os.getpid(),
            started_at=self._store.now(),
            queues=settings.queues,
            concurrency=settings.concurrency,
            version=version("async-job"),
        )
        while not self._stopped.is_set():
            with self._contact:
                await self._renewer.enroll(worker)
                return replace(self._launch, worker=worker.id, listen_fd=-1)
            await asyncio.sleep(STORE_PAUSE)
        return None

    def _bury(self, launch: Launch, end: End) -> None:
        """Hands back what a worker held, while the next one starts."""
        if launch.worker:
            self._renewer.forget(launch.worker)
            task = asyncio.create_task(
                hand_back(self._store, self._settings.retention, self._contact, launch.worker, end)
            )
            self._hand_backs.add(task)
            task.add_done_callback(self._hand_backs.discard)

    def _processes(self) -> list[WatchedProcess]:
        return [keeper.process for keeper in self._keepers if keeper.process is not None]

    def _note_ready(self) -> None:
        if not self._told_ready and all(keeper.has_been_ready for keeper in self._keepers):
            self._told_ready = True
            log.info("ready", workers=self._settings.workers)
            self._on_ready()

    def _replace_lost(self, worker: str) -> None:
        for keeper in self._keepers:
            if keeper.worker == worker:
                keeper.replace()

    def _replace_all(self) -> None:
        for keeper in self._keepers:
            keeper.replace()

    def _stop_on_signal(self) -> None:
        log.info("draining", grace=0 if self._stopped.is_set() else self._settings.grace)
        self._stop()

    def _stop(self) -> None:
        """Asks every process to end within the grace; the second time, to end at once."""
        overstay = OVERSTAY if self._stopped.is_set() else self._settings.grace + OVERSTAY
        self._stopped.set()
        # Those that wait for the store have nothing to wait for any more.
        self._looked.set()
        self._opened.set()
        for keeper in self._keepers:
            keeper.stop()
        asyncio.get_running_loop().call_later(overstay, self._kill_all)

    def _kill_all(self) -> None:
        for process in self._processes():
            process.kill(Killed.OVERSTAYED)

    async def _drain(self, keeping: set[asyncio.Task[None]]) -> None:
        """Waits for the processes to end, and hands back what they left. Their leases are renewed meanwhile."""
        if keeping:
            await asyncio.wait(keeping, timeout=self._settings.grace + OVERSTAY + LAST_HAND_BACK)
        if self._hand_backs:
            await asyncio.wait(self._hand_backs, timeout=LAST_HAND_BACK)
        if self._hand_backs:
            log.warning("the store is away: some jobs were not handed back, and are taken over when their lease ends")
