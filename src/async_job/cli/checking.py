"""The command ``check``: is every job in the store where it has to be?"""

from __future__ import annotations

from typing import Final

from async_job.escaping import escape
from async_job.jobs import Jobs
from async_job.settings import masked
from async_job.store.protocol import Finding

EX_FINDINGS: Final = 1
EX_REPAIRED: Final = 4


async def check(jobs: Jobs, options: str, *, repair: bool) -> int:
    """Prints what is not as promised, and mends it if it is to. Returns the exit code: 0 if there was nothing, 1 if
    there is something, 4 if all of it was mended. ``options``: those that the store was named by."""
    async with jobs:
        store = await jobs.store()
        health, findings = await store.health(), await store.check()
        print(f"{masked(jobs.settings).store}: {health.backend}; {health.durability}")
        _print(findings)
        if not findings:
            print("every job is where it has to be")
            return 0
        print(_counted(findings))
        if not repair:
            print(f"`async-job check --repair{options}` mends what can be told from the jobs themselves")
            return EX_FINDINGS
        await store.repair()
        left = await store.check()
    if not left:
        print("repaired: every job is where it has to be")
        return EX_REPAIRED
    _print(left)
    print(f"{_counted(left)} left, which cannot be told from the jobs themselves")
    return EX_FINDINGS


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        print(escape(f"{finding.id}: {finding.problem}"))


def _counted(findings: list[Finding]) -> str:
    return f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
