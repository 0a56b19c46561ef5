"""The scripts, one for each transition: read from ``lua/`` and called by their hash."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1
from importlib.resources import files
from typing import Final

from async_job.store.redis.keys import Keys
from async_job.store.redis.record import Field

NAMES: Final = (
    *("submit", "claim", "apply", "report"),
    *("enroll", "extend", "retire", "due", "rescuable", "overdue", "purge", "delete"),
    *("scan", "ahead", "log", "counts", "queues", "pause", "resume", "workers", "put_document"),
    *("take", "settle", "deliveries"),
    *("check", "check_unique", "check_deliveries", "health"),
)
PARTS: Final = {
    "apply": ("outbox", "job_log"),
    "report": ("job_log",),
    "settle": ("outbox",),
    "due": ("outbox",),
    "take": ("outbox",),
    "deliveries": ("outbox",),
    "check_deliveries": ("outbox",),
    "purge": ("outbox", "removal"),
    "delete": ("outbox", "removal"),
}
"""What some scripts have in common, beside what all have."""


def _read(name: str) -> str:
    return (files("async_job.store.redis") / "lua" / f"{name}.lua").read_text()


def _script(name: str) -> bytes:
    # The first line says what kind of script it is and has to stay the first.
    head, _, body = _read(name).partition("\n")
    return "\n".join((head, _read("shared"), *map(_read, PARTS.get(name, ())), body)).encode()


TEXTS: Final[dict[str, bytes]] = {name: _script(name) for name in NAMES}
HASHES: Final[dict[str, str]] = {name: sha1(text, usedforsecurity=False).hexdigest() for name, text in TEXTS.items()}

LOAD: Final[list[tuple[Field, ...]]] = [("SCRIPT", "LOAD", text) for text in TEXTS.values()]
"""The commands that make the scripts known to a server that has lost them."""


def call(
    name: str, keys: Keys, now: int | None, more_keys: Iterable[Field] = (), arguments: Iterable[Field] = ()
) -> tuple[Field, ...]:
    """The command that runs a script. ``now``: a test's time; ``None``: the server's own."""
    declared = (*keys.indexes, *more_keys)
    time: Field = "" if now is None else now
    return ("EVALSHA", HASHES[name], len(declared), *declared, time, keys.jobs, keys.root, *arguments)
