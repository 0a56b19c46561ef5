"""What the server is and what it promises: asked when the store opens, and for its health."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct

from async_job.errors import StoreRefused, StoreUnavailable
from async_job.store.redis.keys import Keys
from async_job.store.redis.link import Link

OLDEST: Final = {"redis": (7, 0), "valkey": (8, 0)}
SCHEMA: Final = 1
NO_EVICTION: Final = "noeviction"

NOTHING_LOST: Final = "a crash of the server loses nothing that was acknowledged (appendonly, appendfsync always)"
UNKNOWN: Final = "what a crash of the server loses is not known: it does not let us read its settings (CONFIG GET)"
BY_FSYNC: Final = {
    "always": NOTHING_LOST,
    "everysec": "a crash of the server loses up to 2 s of what was acknowledged (appendonly, appendfsync everysec)",
    "no": "a crash of the machine loses what its system had not yet written, often 30 s (appendonly, appendfsync no)",
}
SNAPSHOTS: Final = "a crash of the server loses all since its last snapshot (appendonly is off)"
NOTHING_KEPT: Final = "a crash of the server loses everything (appendonly and snapshots are off)"


class ServerFacts(Struct, frozen=True, kw_only=True):
    product: str
    version: str
    cluster: bool
    eviction: str
    durability: str

    @property
    def backend(self) -> str:
        return f"{self.product} {self.version}"

    @property
    def durable(self) -> bool:
        return self.durability == NOTHING_LOST


async def inspect(link: Link) -> ServerFacts:
    """Asks the server; a server that hides its settings gets the benefit of saying so."""
    info, config = await link.try_ask(("INFO",), ("CONFIG", "GET", "append*", "save"))
    if isinstance(info, StoreUnavailable | StoreRefused):
        raise info
    told = {} if isinstance(info, BaseException) else _info(info)
    if isinstance(config, StoreUnavailable):
        raise config
    settings = None if isinstance(config, BaseException) else _pairs(config)
    product = "valkey" if "valkey_version" in told else "redis"
    return ServerFacts(
        product=product,
        version=told.get(f"{product}_version", "of unknown version"),
        cluster=told.get("cluster_enabled") == "1",
        eviction=told.get("maxmemory_policy", NO_EVICTION),
        durability=UNKNOWN if settings is None else _durability(settings),
    )


def _info(raw: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in raw.decode().splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in lines}


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return {flat[at].decode(): flat[at + 1].decode() for at in range(0, len(flat), 2)}


def _durability(settings: dict[str, str]) -> str:
    if settings.get("appendonly") == "yes":
        return BY_FSYNC.get(settings.get("appendfsync", ""), UNKNOWN)
    if "appendonly" not in settings:
        return UNKNOWN
    return SNAPSHOTS if settings.get("save") else NOTHING_KEPT


def demand(facts: ServerFacts, allow_eviction: bool) -> None:
    """Refuses what would lose jobs or does not have what the scripts need."""
    version = tuple(int(part) for part in re.findall(r"\d+", facts.version)[:2])
    oldest = OLDEST[facts.product]
    if version and version < oldest:
        raise StoreRefused(f"{facts.backend} is too old: use Redis ≥ 7.0 or Valkey ≥ 8.0")
    if facts.cluster:
        raise StoreRefused("this server is part of a Redis Cluster, which is not supported yet: use a single server")
    if facts.eviction != NO_EVICTION and not allow_eviction:
        raise StoreRefused(
            f"the server may throw jobs away when its memory is full (maxmemory-policy {facts.eviction}); "
            "run `redis-cli CONFIG SET maxmemory-policy noeviction`, or set allow_eviction if losing jobs is fine"
        )


async def claim_schema(link: Link, keys: Keys) -> None:
    """Marks an empty store with our schema; stops where a newer program has been."""
    _, found = await link.ask(("SET", keys.schema, SCHEMA, "NX"), ("GET", keys.schema))
    if not _known(found):
        raise StoreRefused(
            f"the store has schema {found!r} and this program knows {SCHEMA}: install the newer async-job that wrote "
            "it, or use another namespace"
        )


def _known(found: Any) -> bool:
    return isinstance(found, bytes) and found.isdigit() and int(found) <= SCHEMA
