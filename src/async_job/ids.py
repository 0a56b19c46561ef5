"""Job ids: UUIDv7, so that they sort by time."""

from __future__ import annotations

from zlib import crc32

from uuid_utils import uuid7


def new_id(key: str | None = None) -> str:
    """A new id, lower case with hyphens.

    Its last three hex digits are its slot: random, or the hash of ``key``, so that a job with a unique key can be
    kept beside that key when a store is spread over several servers.
    """
    id = str(uuid7())
    return id if key is None else f"{id[:-3]}{crc32(key.encode()) & 0xFFF:03x}"
