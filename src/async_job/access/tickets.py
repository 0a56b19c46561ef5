"""Tickets: what a browser shows instead of a key to read the stream of one job, once and within five minutes.

A ticket is ``ajt_<key id>_<expiry>_<secret>``. The store keeps the hash of the job and the ticket together, so that it
is good for no other job and none of its parts can be changed; to use it is to remove that, which only one can do.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from async_job.access.keys import ID_LENGTH, SECRET_LENGTH, new_secret
from async_job.store.protocol import Store

KIND: Final = "ticket"
"""The kind of their documents in the store; the value is when one expires."""
LIFE: Final = 300_000
SWEEP: Final = 60_000
"""Milliseconds."""
NO_KEY: Final = "0" * ID_LENGTH
"""Stands for the key in a ticket that was made without one."""
TEXT: Final = re.compile(rf"ajt_([0-9a-z]{{{ID_LENGTH}}})_([0-9]{{1,16}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}")


class Tickets:
    """Makes and takes tickets, and now and then removes those that nobody used."""

    def __init__(self) -> None:
        self._swept_at: int | None = None

    async def issue(self, store: Store, job: str, key: str | None) -> tuple[str, int]:
        """A ticket for the job's stream, and when it expires (milliseconds)."""
        await self._sweep(store)
        expires_at = store.now() + LIFE
        text = f"ajt_{key or NO_KEY}_{expires_at}_{new_secret()}"
        await store.administration.put_document(KIND, _hash(text, job), b"%d" % expires_at)
        return text, expires_at

    async def spend(self, store: Store, text: str, job: str) -> bool:
        """Whether the ticket was good for the job's stream; now it is no longer."""
        found = TEXT.fullmatch(text)
        if found is None or int(found[2]) <= store.now():
            return False
        return await store.administration.delete_document(KIND, _hash(text, job))

    async def _sweep(self, store: Store) -> None:
        now = store.now()
        if self._swept_at is not None and 0 <= now - self._swept_at < SWEEP:
            return
        self._swept_at = now
        for id, expires_at in (await store.administration.documents(KIND)).items():
            if int(expires_at) <= now:
                await store.administration.delete_document(KIND, id)


def key_of(text: str) -> str | None:
    """The id of the key that a ticket was made with; ``None``: it is no ticket."""
    found = TEXT.fullmatch(text)
    return None if found is None else found[1]


def _hash(text: str, job: str) -> str:
    return sha256(f"{job} {text}".encode()).hexdigest()
