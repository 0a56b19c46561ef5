"""The deliverer: sends the webhooks that are due. What that takes is imported when the first one is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from async_job.core.delivery import Delivery
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.worker.contact import Contact
from async_job.worker.lookout import Lookout

if TYPE_CHECKING:
    from async_job.webhooks.sender import Sender

EVERY: Final = 1.0
"""Seconds until it looks for more while it sends."""
AT_ONCE: Final = 64
HOLD: Final = 30_000
"""Milliseconds for which nobody else takes a delivery that was taken: longer than a try lasts."""


async def keep_delivering(
    store: Store, settings: Settings, contact: Contact, lookout: Lookout, every: float = EVERY
) -> None:
    """The loop; ends only by cancellation. What is being sent by then is sent again, by whoever comes after."""
    while True:
        due = await lookout.next()
        taken = await _take(store, contact, AT_ONCE) if due.deliveries else []
        if taken:
            await _deliver_all(store, settings, contact, taken, every)


async def _deliver_all(store: Store, settings: Settings, contact: Contact, taken: list[Delivery], every: float) -> None:
    """Sends what was taken, and what else is due meanwhile, until there is nothing more."""
    from async_job.webhooks.sender import Sender

    sender = Sender(store, settings)
    sending: set[asyncio.Task[None]] = set()
    try:
        while taken or sending:
            sending |= {asyncio.create_task(_deliver(sender, delivery, contact)) for delivery in taken}
            _, sending = await asyncio.wait(sending, timeout=every, return_when=asyncio.FIRST_COMPLETED)
            taken = await _take(store, contact, AT_ONCE - len(sending))
    finally:
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)


async def _take(store: Store, contact: Contact, limit: int) -> list[Delivery]:
    with contact:
        return await store.outbox.take(limit, HOLD) if limit else []
    return []


async def _deliver(sender: Sender, delivery: Delivery, contact: Contact) -> None:
    with contact:
        await sender.deliver(delivery)
