"""Two ways to the jobs: through a running server, or straight to the store. Both speak of a job as the server does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from shlex import quote
from typing import Any, Final, Literal, Protocol, Self

from async_job.cli.view import JobView
from async_job.core.query import Query
from async_job.core.submission import Options
from async_job.errors import ServerError, StoreUnavailable, UsageError
from async_job.store.redis.connection_string import masked

DEFAULT_URL: Final = "http://127.0.0.1:5079"
HOLD: Final = 20
"""Seconds for which the server is asked to hold an answer back; a proxy in between may cut longer ones."""
PATIENCE: Final = 30.0
"""Seconds for which somebody who waits for a job puts up with a server or a store that is away."""
RETRY: Final = 0.5


Verb = Literal["cancel", "retry"]


class Access(Protocol):
    """What the commands ask. ``options``: with what another command gets there, as in `` --store sqlite:///a.db``."""

    options: str

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

    async def input_schema(self, type: str) -> dict[str, Any]:
        """The JSON Schema of the type's input. Raises ``UsageError`` when there is none."""
        ...

    async def submit(self, type: str, input: dict[str, Any], options: Options) -> str:
        """The job's id. Raises ``InvalidInput`` and ``InvalidOptions`` for what does not fit, and ``UniqueKeyHeld``."""
        ...

    async def read(self, id: str) -> JobView:
        """The job as it is now. Raises ``JobNotFound``."""
        ...

    async def change(self, verb: Verb, id: str) -> JobView:
        """The job after it. Raises ``JobNotFound``, and another error if its state does not allow it."""
        ...

    async def page(self, query: Query, cursor: str | None, limit: int) -> tuple[list[JobView], str | None]:
        """Some of the jobs that fit, and where more may be."""
        ...

    async def changed(self, id: str, after: int) -> JobView | None:
        """The job as soon as its version is no longer ``after``; ``None``: not for a while. Raises ``JobNotFound``."""
        ...


def reach(url: str | None, store: str | None, app: str | None, *, create: bool = False) -> Access:
    """The way that the options name; without any: the server of ``ASYNC_JOB_URL``, or of the default address, with
    the key in ``ASYNC_JOB_API_KEY``.

    Raises:
        UsageError: they do not go together, or name nothing. ``create``: a file that is not there may be made.
    """
    if store is None:
        from async_job.cli.server_access import ServerAccess

        if app is not None:
            raise UsageError("--app gives the functions for --store; a server has its own")
        # A key is no option: what a command is called with can be seen by everybody on the machine.
        api_key = os.environ.get("ASYNC_JOB_API_KEY") or None
        return ServerAccess(url or os.environ.get("ASYNC_JOB_URL") or DEFAULT_URL, api_key, given(url=url))
    if url is not None:
        raise UsageError("give --url or --store, not both")
    from async_job.cli.store_access import StoreAccess, lasting_jobs

    return StoreAccess(lasting_jobs(store, app, create=create), given(store=store, app=app))


def given(**options: str | None) -> str:
    """Options as they can be typed again, without passwords."""
    return "".join(f" --{name} {quote(masked(text))}" for name, text in options.items() if text is not None)


async def follow(access: Access, id: str) -> AsyncIterator[JobView]:
    """The job as it is, and again after each change until it is done. What is away in between may come back."""
    job = await access.read(id)
    yield job
    away_since: float | None = None
    while not job.done:
        try:
            changed = await access.changed(id, job.version)
        except (ServerError, StoreUnavailable):
            now = asyncio.get_running_loop().time()
            away_since = now if away_since is None else away_since
            if now - away_since > PATIENCE:
                raise
            await asyncio.sleep(RETRY)
            continue
        away_since = None
        if changed is not None:
            job = changed
            yield job
