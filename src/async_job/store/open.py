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
from urllib.parse import urlsplit

from async_job.clock import Clock
from async_job.errors import SettingsError
from async_job.store.protocol import Store

FORMS: Final = (
    "memory://, sqlite:///file.db, redis://host:6379, rediss://host:6379 or a StackExchange.Redis connection string "
    "such as host:6379,password=…"
)


def make_store(
    url: str, *, clock: Clock | None = None, namespace: str = "async-job", allow_eviction: bool = False
) -> Store:
    """The store that the URL names, not yet open. Only its own driver is imported.

    Raises:
        SettingsError: no store has such a URL.
    """
    check_url(url)
    scheme = url.partition("://")[0]
    if scheme == "memory":
        from async_job.store.memory import MemoryStore

        return MemoryStore(clock)
    if scheme == "sqlite":
        from async_job.store.sqlite.store import SqliteStore

        return SqliteStore(sqlite_path(url), clock=clock, namespace=namespace)
    from async_job.store.redis.store import RedisStore

    return RedisStore(url, clock=clock, namespace=namespace, allow_eviction=allow_eviction)


def check_url(url: str, name: str = "store") -> None:
    """Finds what can be found without opening the store.

    Raises:
        SettingsError: no store has such a URL. ``name`` is what the message calls it.
    """
    problem = _problem(url)
    if problem:
        raise SettingsError(f"{name} is {masked_url(url)!r}: {problem}")


def _problem(url: str) -> str | None:
    scheme, colon, rest = url.partition("://")
    if not colon:
        return None if is_connection_string(url) else f"give {FORMS}"
    if scheme == "memory":
        return None if not rest else "memory:// takes nothing after the slashes"
    if scheme == "sqlite":
        return _sqlite_problem(rest)
    if scheme in ("redis", "rediss"):
        return _redis_problem(url)
    return f"give {FORMS}"


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


def _redis_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        # A port that is no number shows when it is read.
        _ = parts.port
    except ValueError:
        # Python's message shows a part of the URL, which may be one of the password.
        return "the port is no number; special characters in a password are written with % (@ is %40, / is %2F)"
    if not parts.hostname:
        return "the host is missing"
    if not re.fullmatch(r"(/\d*)?", parts.path):
        return "after the host comes the number of the database, as in redis://host:6379/0"
    return None


def is_connection_string(url: str) -> bool:
    """Whether it is meant in the syntax of StackExchange.Redis: no URL, but a port or an option."""
    return "://" not in url and re.search(r":\d|=", url) is not None


def sqlite_path(url: str) -> Path:
    """The file of a ``sqlite:`` URL, whichever folder becomes the current one later."""
    return Path(url.removeprefix("sqlite:///")).absolute()


def masked_url(url: str) -> str:
    """The URL as it may be shown to people: without its passwords."""
    url = re.sub(r"://([^:/@]*):.*@", r"://\1:***@", url)
    return re.sub(r"(?i)(password=)[^,&]*", r"\1***", url)
