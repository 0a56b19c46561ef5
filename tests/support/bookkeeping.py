"""A client that keeps book of what it sent and what was acknowledged, and what fault tests need around it."""

import asyncio
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from async_job.core.job import Job, State
from async_job.errors import StoreFull, StoreUnavailable
from async_job.settings import Settings
from async_job.store.protocol import Store
from support import ledger
from support.checker import Verdict, judge
from support.jobs import make_job


def short_lease(store_url: str, **others: object) -> Settings:
    """Settings with a lease of a second, so that what rests on leases is seen soon."""
    given = {"store": store_url, "workers": 2, "concurrency": 4, "lease": 1.0, "renew": 0.3, "log_format": "json"}
    return Settings(**{**given, **others})  # type: ignore[arg-type]


async def until(condition: Callable[[], object], timeout: float = 30.0, what: str = "it") -> None:
    """Returns as soon as the condition holds; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about within {timeout:g} s"
        await asyncio.sleep(0.01)


class Client:
    """Submits jobs, and writes down what was sent and what was acknowledged."""

    def __init__(self, store: Store, book: Path, patience: float = 30.0) -> None:
        """`patience`: seconds for which one submit is tried again while the store is away."""
        self.store = store
        self.book = ledger.Book(book)
        self.patience = patience

    async def submit(self, seconds: float = 0.05, type: str = "work", **fields: Any) -> str:
        """Sends one job until the store takes it; `StoreFull` is the caller's."""
        input = fields.pop("input", b'{"seconds":%g}' % seconds)
        job = make_job(self.store.now(), type=type, input=input, **fields)
        self.note("invoke", job.id)
        end = time.monotonic() + self.patience
        while True:
            try:
                [answer] = await self.store.submit([job])
            except StoreUnavailable:
                if time.monotonic() > end:
                    self.note("fail", job.id)
                    raise
                await asyncio.sleep(0.05)
            except StoreFull:
                self.note("fail", job.id)
                raise
            else:
                assert answer.created
                self.note("ok", job.id)
                return job.id

    @property
    def submitted(self) -> list[str]:
        """The ids of all that were sent, by whichever client."""
        return list(dict.fromkeys(line.id for line in self.book.lines if line.what in ("invoke", "ok")))

    def note(self, what: str, id: str, attempt: int = 0, pid: int | None = None) -> None:
        ledger.note(self.book.file, what, id, attempt, pid)

    def started(self, id: str, attempt: int = 1) -> ledger.Line | None:
        """The line with which this attempt of the job started; `None`: it has not."""
        return next((line for line in self.book.lines if line[:3] == ("start", id, attempt)), None)

    @property
    def faults(self) -> list[ledger.Line]:
        """What was done to processes so far."""
        return [line for line in self.book.lines if line.what == "fault"]

    async def wait_for_start(self, id: str, attempt: int = 1, timeout: float = 30.0) -> ledger.Line:
        await until(lambda: self.started(id, attempt), timeout, f"attempt {attempt} of {id}")
        line = self.started(id, attempt)
        assert line is not None
        return line

    async def jobs(self) -> list[Job | None]:
        return await self.store.get(self.submitted)

    async def wait_for_all(self, timeout: float = 30.0) -> None:
        """Returns when all have ended; what has not by then is the verdict's business."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                if all(job is None or job.done for job in await self.jobs()):
                    return
            except StoreUnavailable:
                # Another look will tell.
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.05)

    async def judge(self, may_end: Collection[State] = (State.SUCCEEDED,)) -> Verdict:
        return judge(await self.jobs(), self.book.lines, may_end)
