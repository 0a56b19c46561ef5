"""What those who run a system ask of its store: queues, workers, and the documents that an administrator writes.

Every store has it as ``store.administration``. The rules of ``store.protocol`` hold: plural where it helps, atomic per
call, repeatable, no policy.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from async_job.store.protocol import Worker


class QueueInfo(Struct, frozen=True, kw_only=True):
    """A queue that has jobs queued, is paused, or has been claimed from.

    ``ready_since``: since when the first in line may start (milliseconds; ``None``: it is empty). ``started``: how many
    jobs were ever claimed from it; it only rises, so two readings give the rate.
    """

    name: str
    queued: int
    paused: bool
    ready_since: int | None
    started: int


class WorkerInfo(Struct, frozen=True, kw_only=True):
    """An enrolled worker. ``lease_end`` is 0 when it was retired; ``running`` is how many jobs it holds."""

    worker: Worker
    lease_end: int
    running: int


class Administration(Protocol):
    """Every method may raise ``StoreUnavailable``; writes may raise ``StoreFull``."""

    async def queues(self) -> list[QueueInfo]:
        """All queues, by name."""
        ...

    async def pause(self, queue: str) -> None:
        """From now on nothing is claimed from the queue; what runs goes on, and submits are taken. Again: the same."""
        ...

    async def resume(self, queue: str) -> None:
        """Undoes ``pause`` and wakes workers. Also for a queue that is not paused."""
        ...

    async def workers(self) -> list[WorkerInfo]:
        """All enrolled workers that were not forgotten, by id."""
        ...

    async def documents(self, kind: str) -> dict[str, bytes]:
        """The documents of a kind (such as ``key`` or ``endpoint``), by id. There are few of them."""
        ...

    async def put_document(self, kind: str, id: str, value: bytes) -> None:
        """Writes a document, or writes it anew."""
        ...

    async def delete_document(self, kind: str, id: str) -> bool:
        """Removes a document; whether there was one."""
        ...
