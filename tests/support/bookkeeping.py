"""A client that keeps book of what it sent and what was acknowledged, and what fault tests need around it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from async_job.core.job import Job
from async_job.errors import StoreUnavailable
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
    """Submits jobs, and remembers which were sent and which were acknowledged."""

    def __init__(self, store: Store, book: Path) -> None:
        self.store = store
        self.book = book
        self.submitted: list[str] = []
        self.acknowledged: list[str] = []

    async def submit(self, seconds: float) -> str:
        """Sends one job until the store takes it."""
        job = make_job(self.store.now(), type="work", input=b'{"seconds":%g}' % seconds)
        self.submitted.append(job.id)
        while True:
            try:
                [answer] = await self.store.submit([job])
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                assert answer.created
                self.acknowledged.append(job.id)
                return job.id

    def started(self, id: str, attempt: int = 1) -> ledger.Line | None:
        """The line with which this attempt of the job started; `None`: it has not."""
        lines = ledger.read(self.book)
        return next((line for line in lines if line[:3] == ("start", id, attempt)), None)

    async def wait_for_start(self, id: str, attempt: int = 1) -> ledger.Line:
        await until(lambda: self.started(id, attempt), what=f"attempt {attempt} of {id}")
        line = self.started(id, attempt)
        assert line is not None
        return line

    async def jobs(self) -> list[Job | None]:
        return await self.store.get(self.submitted)

    async def wait_for_all(self, timeout: float = 30.0) -> None:
        """Returns when all have ended; what has not by then is the verdict's business."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and not all(job is None or job.done for job in await self.jobs()):
            await self.store.wait(["none"], 0.05)

    async def judge(self) -> Verdict:
        return judge(self.submitted, self.acknowledged, await self.jobs(), ledger.read(self.book))
