"""The commands about jobs: submit, status, list, cancel and retry. Each returns its exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from async_job.cli.access import Access, Verb, follow
from async_job.cli.inputs import read_input
from async_job.cli.output import print_json
from async_job.cli.output import print_rows as print_table
from async_job.cli.view import JobView
from async_job.cli.watching import watch
from async_job.core.query import MOST_LISTED, Query
from async_job.core.submission import Options
from async_job.errors import NotAllowed
from async_job.escaping import escape

FINE: Final = 0
JOB_FAILED: Final = 1


async def submit(
    type: str, pairs: Sequence[str], options: Options, access: Access, *, wait: bool, as_json: bool
) -> int:
    """Starts a job. Standard output gets its id, or with ``wait`` its result; all else goes to standard error."""
    async with access:
        id = await access.submit(type, read_input(pairs, await _schema(access, type)), options)
        if not wait:
            if as_json:
                print_json((await access.read(id)).text)
            else:
                print(id)
            return FINE
        try:
            job = await watch(follow(access, id), Console(stderr=True))
        except NotAllowed as error:
            raise NotAllowed(f"job {id} is started, but cannot be waited for: {error}") from error
        except asyncio.CancelledError:
            again = f"async-job status {id} --watch{access.options}"
            print(f"no longer waiting; the job goes on: {again}", file=sys.stderr)
            raise
    succeeded = job.state == "succeeded"
    if as_json:
        print_json(job.text)
    elif succeeded:
        print_json(msgspec.json.encode(job.result))
    return FINE if succeeded else JOB_FAILED


async def _schema(access: Access, type: str) -> dict[str, Any]:
    """The schema that pairs are read by; one that says nothing for a key that may start jobs and read nothing. Then
    what looks like JSON is taken for it, and whether all of it fits is for the server to say."""
    try:
        return await access.input_schema(type)
    except NotAllowed:
        # A key that may not even start jobs is told so by the submit.
        return {}


async def status(id: str, access: Access, *, until_done: bool, as_json: bool) -> int:
    """Says how a job is, or shows it until it is done."""
    async with access:
        if until_done:
            job = await watch(follow(access, id), Console(stderr=True))
        else:
            job = await access.read(id)
    if as_json:
        print_json(job.text)
    else:
        print_rows(job)
    failed = job.state == "failed" or (until_done and job.state != "succeeded")
    return JOB_FAILED if failed else FINE


async def find(query: Query, limit: int, access: Access, *, as_json: bool) -> int:
    """Lists up to ``limit`` jobs, the newest first."""
    jobs: list[JobView] = []
    cursor: str | None = None
    async with access:
        while len(jobs) < limit:
            some, cursor = await access.page(query, cursor, min(limit - len(jobs), MOST_LISTED))
            jobs += some
            if cursor is None:
                break
    if as_json:
        print_json(b"[" + b",".join(job.text for job in jobs) + b"]")
    else:
        print_table(("id", "type", "created", "state"), [(job.id, job.type, job.created, job.outcome) for job in jobs])
    return FINE


async def change(verb: Verb, id: str, access: Access) -> int:
    """Has something done with a job, and says how it is then."""
    async with access:
        job = await access.change(verb, id)
    print(escape(f"{job.id} {job.type} {job.outcome}"))
    return FINE


def print_rows(job: JobView) -> None:
    """A job as names and values: aligned on a terminal, one line each elsewhere."""
    if not sys.stdout.isatty():
        for name, value in job.rows():
            print(f"{name}: {escape(value)}")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in job.rows():
        table.add_row(name, Text(escape(value)))
    Console().print(table)
