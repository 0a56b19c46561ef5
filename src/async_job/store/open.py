"""From a store's URL to the store.

memory://                     in this process
sqlite:///jobs.db             a file, from the current folder; four slashes are an absolute path
redis://host:6379/0           Redis or Valkey; rediss:// with TLS
host:6379,password=…          the same in the syntax of StackExchange.Redis, as .NET programs write it
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from async_job.clock import Clock
from async_job.errors import SettingsError
from async_job.store.codec import USUAL_LIMITS, LogLimits
from async_job.store.protocol import Store
from async_job.store.redis.connection_string import masked, parse

FORMS: Final = (
    "memory://, sqlite:///file.db, redis://host:6379, rediss://host:6379 or a StackExchange.Redis connection string "
    "such as host:6379,password=…"
)


def make_store(
    url: str,
    *,
    clock: Clock | None = None,
    namespace: str = "async-job",
    allow_eviction: bool = False,
    log_limits: LogLimits = USUAL_LIMITS,
) -> Store:
    """The store that the URL names, not yet open. Only its own driver is imported.

    Raises:
        SettingsError: no store has such a URL.
    """
    check_url(url)
    scheme = url.partition("://")[0]
    if scheme == "memory":
        from async_job.store.memory.store import MemoryStore

        return MemoryStore(clock, log_limits=log_limits)
    if scheme == "sqlite":
        from async_job.store.sqlite.store import SqliteStore

        return SqliteStore(sqlite_path(url), clock=clock, namespace=namespace, log_limits=log_limits)
    from async_job.store.redis.store import RedisStore

    return RedisStore(url, clock=clock, namespace=namespace, allow_eviction=allow_eviction, log_limits=log_limits)


def check_url(url: str, name: str = "store") -> None:
    """Finds what can be found without opening the store.

    Raises:
        SettingsError: no store has such a URL. ``name`` is what the message calls it.
    """
    scheme, colon, rest = url.partition("://")
    if scheme in ("redis", "rediss") or is_connection_string(url):
        try:
            parse(url)
        except SettingsError as error:
            raise SettingsError(f"{name}: {error}") from error
        return
    problem: str | None = f"give {FORMS}"
    if colon and scheme == "sqlite":
        problem = _sqlite_problem(rest)
    elif colon and scheme == "memory":
        problem = "memory:// takes nothing after the slashes" if rest else None
    if problem:
        raise SettingsError(f"{name} is {masked(url)!r}: {problem}")


def _sqlite_problem(rest: str) -> str | None:
    if not rest.startswith("/"):
        return "write three slashes for a path from the current folder, four for an absolute one"
    if rest.startswith("/:"):
        return "a database in memory is called memory://"
    if "?" in rest or "#" in rest:
        return "it takes no options, and the path may have no '?' or '#'"
    if rest.endswith("/"):
        return "the name of the file is missing"
    return None


def is_connection_string(url: str) -> bool:
    """Whether it is meant in the syntax of StackExchange.Redis: no URL, but a port or an option."""
    return "://" not in url and re.search(r":\d|=", url) is not None


def sqlite_path(url: str) -> Path:
    """The file of a ``sqlite:`` URL, whichever folder becomes the current one later."""
    return Path(url.removeprefix("sqlite:///")).absolute()
