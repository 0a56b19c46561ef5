"""Webhook deliveries in Redis; see ``store.outbox``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from async_job.core.delivery import Delivery
from async_job.errors import StoreBroken
from async_job.store import codec
from async_job.store.protocol import BATCH
from async_job.store.readable import Readable
from async_job.store.redis.keys import Keys
from async_job.store.redis.record import Field, encode_delivery
from async_job.store.redis.trips import Trips


class RedisOutbox:
    def __init__(self, trips: Trips, keys: Keys, readable: Readable) -> None:
        self._trips = trips
        self._keys = keys
        self._readable = readable

    async def take(self, limit: int, hold: int) -> list[Delivery]:
        taken: list[Delivery] = await self._trips.run("take", self._deliveries, (), (min(limit, BATCH), hold))
        return taken

    async def settle(self, deliveries: Sequence[Delivery], taken: Sequence[Delivery] | None = None) -> None:
        stands: list[tuple[Field, Field]] = (
            [("", "")] * len(deliveries) if taken is None else [(one.tries, one.due_at) for one in taken]
        )
        pairs = list(zip(deliveries, stands, strict=True))
        for at in range(0, len(pairs), BATCH):
            batch = pairs[at : at + BATCH]
            arguments = [field for one, stand in batch for field in (one.job_id, *encode_delivery(one), *stand)]
            await self._trips.run("settle", lambda reply: None, (), arguments)

    async def deliveries(self, job_id: str) -> list[Delivery]:
        found: list[Delivery] = await self._trips.run(
            "deliveries", self._deliveries, [self._keys.deliveries_of(job_id)], (0, "")
        )
        return found

    async def recent(self, limit: int) -> list[Delivery]:
        if limit < 1:
            return []
        found: list[Delivery] = await self._trips.run(
            "deliveries", self._deliveries, [self._keys.deliveries_recent], (limit, "newest")
        )
        return found

    def _deliveries(self, reply: list[Any]) -> list[Delivery]:
        return self._readable.all(_delivery, reply[1:])


def _delivery(raw: bytes | None) -> Delivery | None:
    try:
        return None if raw is None else codec.decode_delivery(raw)
    except ValueError as error:
        raise StoreBroken(f"a delivery cannot be read: {error}") from error
