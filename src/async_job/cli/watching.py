"""Shows a job while it runs: a live bar on a terminal, else a line at each change of state."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from async_job.cli.view import JobView
from async_job.escaping import escape

GOOD = "succeeded"


async def watch(jobs: AsyncIterator[JobView], console: Console) -> JobView:
    """Shows every state that comes and returns the last."""
    return await (_bar if console.is_terminal else _lines)(jobs, console)


async def _lines(jobs: AsyncIterator[JobView], console: Console) -> JobView:
    job: JobView | None = None
    shown = ""
    async for job in jobs:
        if job.outcome != shown:
            shown = job.outcome
            # Out as it is: no markup is read in an error's text, and no line is folded.
            console.print(escape(f"{job.id} {job.type} {shown}"), markup=False, highlight=False, soft_wrap=True)
    assert job is not None, "a job that is not there raises JobNotFound"
    return job


async def _bar(jobs: AsyncIterator[JobView], console: Console) -> JobView:
    job: JobView | None = None
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", markup=False, style="dim"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=None, message="")
        async for job in jobs:
            current, total = _position(job)
            message = (job.progress.message if job.progress else None) or ""
            says = escape(f"{job.type} {job.state}")
            progress.update(bar, description=says, completed=current, total=total, message=escape(message))
    assert job is not None, "a job that is not there raises JobNotFound"
    console.print(
        escape(closing_line(job)), style="green" if job.state == GOOD else "red", markup=False, highlight=False
    )
    return job


def _position(job: JobView) -> tuple[float, float | None]:
    """Where the bar stands; without a total it moves to and fro."""
    if job.state == GOOD:
        return 100, 100
    if job.progress is None or job.progress.percent is None:
        return 0, None
    return job.progress.percent, 100


def closing_line(job: JobView) -> str:
    """The end in one line, as in ``✓ resize succeeded in 1.2 s``; of a bad one with the id, to look closer."""
    if job.state != GOOD:
        return f"✗ {job.type} {job.outcome} ({job.id})"
    took = f" in {job.seconds:.3g} s" if job.seconds is not None else ""
    return f"✓ {job.type} {job.outcome}{took}"
