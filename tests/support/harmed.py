"""The jobs of `support.ledger`, in a worker that is stopped, killed or made deaf at a certain point of a job's life.

A test arms it by `Scene.arm`; the first process that comes to the point takes the file that this wrote and comes to
harm. Importing this module harms the stores of the process that does, so only a worker imports it.

    claim            the store has given jobs out, and the worker has not heard of it yet
    before apply     the function has ended, and the store has not been told
    inside apply     the store is being told: within the transaction, or between request and reply
    apply            the store knows, and the worker has not heard of it yet
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection

from async_job.core.job import Change
from async_job.errors import StoreUnavailable
from async_job.store.protocol import Claimed
from async_job.store.redis.scripts import HASHES
from async_job.store.redis.store import RedisStore
from async_job.store.sqlite.store import SqliteStore
from async_job.store.sqlite.writer import Writer
from support.ledger import jobs, note

__all__ = ["jobs"]


def _come_to(point: str) -> None:
    book = Path(os.environ["LEDGER"])
    armed, taken = book.with_name("armed"), book.with_name(f"taken-{os.getpid()}")
    try:
        wanted, _, action = armed.read_text().partition("/")
        if wanted != point:
            return
        armed.rename(taken)
    except FileNotFoundError:
        # Not armed, or another process was first.
        return
    match action:
        case "stop":
            for pid in (os.getppid(), os.getpid()):
                note(book, "fault", "SIGSTOP", pid=pid)
            for pid in (os.getppid(), os.getpid()):
                os.kill(pid, signal.SIGSTOP)
        case "kill":
            note(book, "fault", "SIGKILL", pid=os.getpid())
            os.kill(os.getpid(), signal.SIGKILL)
        case "lose":
            note(book, "lose", point)
            raise StoreUnavailable("the answer was lost on its way")
        case _:
            raise ValueError(f"no such harm: {action}")


def _harm(store: Any) -> None:
    claim, apply = store.claim, store.apply

    async def harmed_claim(self: Any, *arguments: Any) -> Claimed:
        claimed: Claimed = await claim(self, *arguments)
        if claimed.jobs:
            _come_to("claim")
        return claimed

    async def harmed_apply(self: Any, changes: Sequence[Change]) -> Any:
        tells_ends = any(change.outcome for change in changes)
        if tells_ends:
            _come_to("before apply")
        answers = await apply(self, changes)
        if tells_ends:
            _come_to("apply")
        return answers

    store.claim, store.apply = harmed_claim, harmed_apply


def _harm_inside() -> None:
    apply, send = Writer.apply, AbstractConnection.send_packed_command

    def harmed_apply(self: Writer, changes: Sequence[Change]) -> Any:
        answers = apply(self, changes)
        if any(change.outcome for change in changes):
            _come_to("inside apply")
        return answers

    async def harmed_send(self: AbstractConnection, command: Any, check_health: bool = True) -> None:
        await send(self, command, check_health)
        if HASHES["apply"].encode() in b"".join(command):
            _come_to("inside apply")

    Writer.apply = harmed_apply  # type: ignore[method-assign]
    AbstractConnection.send_packed_command = harmed_send  # type: ignore[method-assign]


if "pytest" in sys.modules:
    raise ImportError("support.harmed would harm the stores of the tests themselves")
_harm(SqliteStore)
_harm(RedisStore)
_harm_inside()
