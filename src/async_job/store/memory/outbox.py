"""Webhook deliveries of the memory store; see ``store.outbox``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from threading import RLock

from msgspec.structs import replace

from async_job.clock import Clock
from async_job.core.delivery import Delivery
from async_job.store.memory.table import Table


class MemoryOutbox:
    def __init__(self, table: Table, lock: RLock, clock: Clock) -> None:
        self._table = table
        self._lock = lock
        self._clock = clock

    async def take(self, limit: int, hold: int) -> list[Delivery]:
        with self._lock:
            now = self._clock.now()
            due = [self._table.deliveries[id] for id in self._table.due_deliveries.up_to(now, limit)]
            held = [replace(delivery, due_at=now + hold) for delivery in due]
            for delivery in held:
                self._table.put_delivery(delivery)
            return held

    async def settle(self, deliveries: Sequence[Delivery], taken: Sequence[Delivery] | None = None) -> None:
        with self._lock:
            for delivery, before in zip(
                deliveries, repeat(None, len(deliveries)) if taken is None else taken, strict=True
            ):
                stored = self._table.deliveries.get(delivery.id)
                if stored is not None and (before is None or _stand(stored) == _stand(before)):
                    self._table.put_delivery(delivery)

    async def deliveries(self, job_id: str) -> list[Delivery]:
        with self._lock:
            return sorted((d for d in self._table.deliveries.values() if d.job_id == job_id), key=_age)

    async def recent(self, limit: int) -> list[Delivery]:
        with self._lock:
            return sorted(self._table.deliveries.values(), key=_age, reverse=True)[:limit]


def _stand(delivery: Delivery) -> tuple[int, int]:
    return delivery.tries, delivery.due_at


def _age(delivery: Delivery) -> tuple[int, str]:
    return delivery.created_at, delivery.id
