"""The outbox: webhook deliveries, written in the same step as the change that they tell of.

Every store has it as ``store.outbox``. The rules of ``store.protocol`` hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from async_job.core.delivery import Delivery


class Outbox(Protocol):
    """Deliveries come in by ``Store.apply`` (``Change.deliveries``) and stay with their job until it is purged."""

    async def take(self, limit: int, hold: int) -> list[Delivery]:
        """Up to ``limit`` pending deliveries that are due, oldest first, then by id. Each is put off by ``hold`` ms
        from now, so that nobody else takes it meanwhile, and answered so; who died is replaced then."""
        ...

    async def settle(self, deliveries: Sequence[Delivery], taken: Sequence[Delivery] | None = None) -> None:
        """Writes each delivery as given, over what is stored under its id; those that are not there are left out.
        ``taken``: each as it was taken. Then one is left out too whose ``tries`` or ``due_at`` are others by now: it
        was replayed or taken by another meanwhile."""
        ...

    async def deliveries(self, job_id: str) -> list[Delivery]:
        """All deliveries of a job, oldest first, by time and id."""
        ...

    async def recent(self, limit: int) -> list[Delivery]:
        """The newest deliveries of all jobs, newest first."""
        ...
