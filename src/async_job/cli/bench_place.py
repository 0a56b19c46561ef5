"""Where ``async-job bench`` measures: beside the user's jobs, in a place of its own that is gone afterwards."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from async_job.core.job import FINISHED
from async_job.errors import UsageError
from async_job.jobs import Jobs
from async_job.settings import Settings, masked
from async_job.store.open import sqlite_path
from async_job.store.redis.connection_string import parse
from async_job.store.redis.connections import Connections
from async_job.store.redis.keys import Keys
from async_job.store.redis.link import Link

PATIENCE: Final = 2.0
AT_ONCE: Final = 1000
"""So many keys the server looks at in one step."""


@asynccontextmanager
async def place(settings: Settings, *, named: bool) -> AsyncIterator[Settings]:
    """The settings with a store of one's own: on Redis another namespace, for SQLite another file on the same disk.
    ``named``: their namespace was given for this.

    Raises:
        UsageError: the store is in use and no namespace was given for this, or somebody has that one.
    """
    if settings.store.startswith("memory:"):
        raise UsageError("memory:// lives in one process and has no workers to measure; name a store by --store")
    if not named and (uses := await _uses(settings)):
        raise UsageError(
            f"{masked(settings).store} is in use ({uses}) and would be slowed down; --namespace NAME measures "
            "beside it all the same"
        )
    namespace = settings.namespace if named else f"async-job-bench-{secrets.token_hex(4)}"
    made = replace(settings, namespace=namespace, queues=("default",))
    if settings.store.startswith("sqlite:"):
        with _folder_beside(sqlite_path(settings.store)) as folder:
            yield replace(made, store=f"sqlite:///{Path(folder) / 'bench.db'}")
        return
    if await _is_taken(made):
        raise UsageError(
            f"there are keys of the namespace {made.namespace!r} already; all of it is removed afterwards, so give "
            "another --namespace"
        )
    try:
        yield made
    finally:
        await _remove(made)


async def _uses(settings: Settings) -> str:
    """Who uses the store at present; empty if nobody. Writes nothing where there is nothing yet."""
    if settings.store.startswith("sqlite:"):
        if not sqlite_path(settings.store).exists():
            return ""
    elif not await _has_schema(settings):
        return ""
    jobs = Jobs()
    jobs.configure(settings=settings)
    async with jobs:
        store = await jobs.store()
        counts, workers = await store.counts(), await store.administration.workers()
        living = sum(info.lease_end > store.now() for info in workers)
    live = sum(number for state, number in counts.states.items() if state not in FINISHED)
    found = [f"{number} {what}" for number, what in ((living, "workers"), (live, "live jobs")) if number]
    return ", ".join(found)


def _folder_beside(file: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix=f"{file.name}.bench-", dir=file.parent)
    except OSError as error:
        raise UsageError(f"{file.parent}: no folder can be made there: {error.strerror}") from error


async def _has_schema(settings: Settings) -> bool:
    """Whether a store was ever opened in the namespace."""
    async with _link(settings) as link:
        [found] = await link.ask(("EXISTS", Keys(settings.namespace).schema))
    return bool(found)


async def _keys(link: Link, namespace: str) -> AsyncIterator[list[bytes]]:
    """All keys that a store of the namespace could have, in portions."""
    keys = Keys(namespace)
    for root in (keys.jobs, keys.root):
        cursor = b"0"
        while True:
            [(cursor, found)] = await link.ask(("SCAN", cursor, "MATCH", f"{root}*", "COUNT", AT_ONCE))
            yield found
            if cursor == b"0":
                break


async def _is_taken(settings: Settings) -> bool:
    """Whether there is any key of the namespace, also one of another program."""
    async with _link(settings) as link:
        return any([bool(found) async for found in _keys(link, settings.namespace)])


async def _remove(settings: Settings) -> None:
    async with _link(settings) as link:
        async for found in _keys(link, settings.namespace):
            if found:
                await link.ask(("UNLINK", *found))


@asynccontextmanager
async def _link(settings: Settings) -> AsyncIterator[Link]:
    connections = Connections(parse(settings.store))
    link = Link(connections.connect, PATIENCE)
    try:
        yield link
    finally:
        await link.close()
        await connections.close()
