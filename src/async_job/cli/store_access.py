"""The way to the jobs straight through their store, with no server running."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any, Self

import msgspec

from async_job import logs
from async_job.cli.access import HOLD, Verb
from async_job.cli.view import JobView
from async_job.core.job import Job
from async_job.core.query import Query
from async_job.core.submission import Options
from async_job.errors import UnknownType, UsageError
from async_job.job_view import view_job
from async_job.jobs import Jobs
from async_job.loading import load_jobs
from async_job.settings import Settings, masked
from async_job.store.open import sqlite_path


def load_program(app: str | None) -> Jobs:
    """The Jobs of ``app``. Standard output is for the command's answer, not for what the program prints."""
    with redirect_stdout(sys.stderr):
        return load_jobs(app)


def say_where(jobs: Jobs) -> None:
    """Says which store was written to: a server may have another one."""
    print(f"async-job: written to {place_of(jobs.settings)}", file=sys.stderr)


def place_of(settings: Settings) -> str:
    """The store, without its password, and the part of it that is used."""
    within = f", namespace {settings.namespace}" if settings.store.startswith("redis") else ""
    return f"{masked(settings).store}{within}"


def lasting_jobs(store: str | None, app: str | None, *, create: bool = False) -> Jobs:
    """The Jobs of ``app`` on a store that others can reach too, and that is there unless it may be made.

    Raises:
        UsageError: it is in another process's memory, or there is no such file.
    """
    jobs = load_program(app)
    jobs.configure(flags={"store": store})
    settings = jobs.settings
    if jobs.loaded.origins["log_level"] == "default":
        # What a server tells in passing would stand in the way of a command's answer.
        settings = msgspec.structs.replace(settings, log_level="warning")
    logs.configure(settings, sys.stderr)
    url = settings.store
    if url.startswith("memory:"):
        raise UsageError("memory:// lives inside the server and cannot be reached from here; use --url")
    if url.startswith("sqlite:") and not create and not sqlite_path(url).exists():
        raise UsageError(
            f"there is no file {sqlite_path(url)}; name the store by --store, or by --app the program that does"
        )
    return jobs


class StoreAccess:
    """With the functions of ``jobs``."""

    def __init__(self, jobs: Jobs, options: str = "") -> None:
        self.options = options
        self._jobs = jobs

    async def __aenter__(self) -> Self:
        await self._jobs.store()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._jobs.close()

    async def input_schema(self, type: str) -> dict[str, Any]:
        try:
            return self._jobs.function(type).input.json_schema
        except UnknownType as error:
            raise UsageError(f"{error}; --app module:jobs names the program that has the functions") from error

    async def submit(self, type: str, input: dict[str, Any], options: Options) -> str:
        return (await self._jobs.submit(type, msgspec.json.encode(input), options)).id

    async def read(self, id: str) -> JobView:
        return _view(await self._jobs.get(id))

    async def change(self, verb: Verb, id: str) -> JobView:
        return _view(await (self._jobs.cancel(id) if verb == "cancel" else self._jobs.retry(id)))

    async def page(self, query: Query, cursor: str | None, limit: int) -> tuple[list[JobView], str | None]:
        page = await self._jobs.find(query, cursor=cursor, limit=limit)
        return [_view(job) for job in page.jobs], page.next_cursor

    async def changed(self, id: str, after: int) -> JobView | None:
        job = await self._jobs.watch(id, lambda job: job.version != after, HOLD)
        return None if job.version == after else _view(job)


def _view(job: Job) -> JobView:
    return JobView.of(msgspec.json.encode(view_job(job, root="")))
