"""Compares every job with every index, in bounded batches that each see one moment of the store, and mends what it
finds in the same moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import chain
from typing import Final

from async_job.errors import StoreBroken
from async_job.store.protocol import Finding
from async_job.store.redis import scripts
from async_job.store.redis.keys import Keys
from async_job.store.redis.link import Link
from async_job.store.redis.record import READ_BY_KEY, Field, decode, text

PAGE = 64
"""Ids a script call, so that none keeps others waiting."""
DAY = 24 * 3_600_000
LOOKED_AT: Final[tuple[bytes, ...]] = tuple(name for name in READ_BY_KEY if name not in (b"input", b"result"))
"""The fields that can be wrong in themselves; input and result are any JSON, and may be large."""
STAYS = -1
"""What PTTL answers for a key that does not go by itself."""


async def check(link: Link, keys: Keys, now: int | None, *, repair: bool = False) -> list[Finding]:
    """All that is not as promised; ``repair`` mends it. Jobs may come and go meanwhile: each is judged as it is when
    its batch is read."""
    how = "repair" if repair else ""
    indexes: list[Field] = [keys.scheduled, keys.deadlines, keys.running, *keys.finished.values()]
    indexes += [key async for key in _scan(link, f"{keys.root}queue:*")]
    indexes += [key async for key in _scan(link, f"{keys.root}claims:*")]
    findings: dict[Finding, None] = {}
    async for ids in _pages(_recorded(link, keys)):
        told = await _ask(link, scripts.call("check", keys, now, (), (how, *ids)))
        known = {finding.id for finding in told}
        told += await _unreadable(link, keys, [id for id in ids if text(id) not in known])
        findings |= dict.fromkeys(told)
    # What is missing where it has to be was found by the records; here is what is where it should not be.
    for index in indexes:
        async for ids in _pages(_members(link, "ZSCAN", index)):
            findings |= dict.fromkeys(await _ask(link, scripts.call("check", keys, now, (index,), (how, *ids))))
    async for page in _pages(_scan(link, f"{keys.root}unique:*")):
        for found in await _ask(link, scripts.call("check_unique", keys, now, page, (how,))):
            key = found.id.removeprefix(f"{keys.root}unique:").replace(":", "/", 1)
            findings[Finding(found.problem, f"holds the unique key {key} and is not live")] = None
    async for page in _pages(_all_deliveries(link, keys)):
        findings |= dict.fromkeys(await _ask(link, scripts.call("check_deliveries", keys, now, (), (how, *page))))
    async for page in _pages(_scan(link, f"{keys.root}idempotency:*")):
        for name, lifetime in zip(page, await link.ask(*(("PTTL", name) for name in page)), strict=True):
            if lifetime == STAYS:
                key = text(name).removeprefix(f"{keys.root}idempotency:")
                findings[Finding(key, "is an idempotency key that would stay for ever")] = None
                if repair:
                    await link.ask(("PEXPIRE", name, DAY))
    return list(findings)


async def _ask(link: Link, command: tuple[Field, ...]) -> list[Finding]:
    _, *flat = (await link.ask(command))[0]
    texts = [text(part) for part in flat]
    return [Finding(id, problem) for id, problem in zip(texts[::2], texts[1::2], strict=True)]


async def _unreadable(link: Link, keys: Keys, ids: Sequence[bytes]) -> list[Finding]:
    """Those with a field that holds something else than it has to."""
    findings = []
    reads: list[tuple[Field, ...]] = [("HMGET", keys.jobs.encode() + id, *LOOKED_AT) for id in ids]
    records = await link.try_ask(*reads)
    for id, record in zip(ids, records, strict=True):
        if isinstance(record, StoreBroken):
            # It came to be no hash at all meanwhile.
            continue
        if isinstance(record, BaseException):
            raise record
        there = [pair for pair in zip(LOOKED_AT, record, strict=True) if pair[1] is not None]
        try:
            decode(text(id), list(chain.from_iterable(there)))
        except StoreBroken as error:
            findings.append(Finding(text(id), f"cannot be read: {error.__cause__}"))
    return findings


async def _recorded(link: Link, keys: Keys) -> AsyncIterator[bytes]:
    """The ids of all records."""
    prefix = len(keys.jobs)
    async for key in _scan(link, f"{keys.jobs}*"):
        yield key[prefix:]


async def _all_deliveries(link: Link, keys: Keys) -> AsyncIterator[bytes]:
    """The ids of all deliveries, then of their indexes."""
    for read, key in (("HSCAN", keys.deliveries), ("ZSCAN", keys.deliveries_due), ("ZSCAN", keys.deliveries_recent)):
        async for id in _members(link, read, key):
            yield id


async def _scan(link: Link, pattern: str) -> AsyncIterator[bytes]:
    cursor: Field = 0
    while True:
        [[cursor, names]] = await link.ask(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
        for name in names:
            yield name
        if cursor == b"0":
            return


async def _members(link: Link, read: str, key: Field) -> AsyncIterator[bytes]:
    cursor: Field = 0
    while True:
        [[cursor, flat]] = await link.ask((read, key, cursor, "COUNT", 1000))
        for id in flat[::2]:
            yield id
        if cursor == b"0":
            return


async def _pages(names: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    page: list[bytes] = []
    async for name in names:
        page.append(name)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
