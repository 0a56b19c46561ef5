"""The command ``check``: is every job in the store where it has to be?"""

from __future__ import annotations

from async_job.jobs import Jobs
from async_job.settings import masked


async def check(jobs: Jobs) -> int:
    """Prints what is not as promised. Returns the exit code: 1 if there is anything."""
    async with jobs:
        store = await jobs.store()
        health, findings = await store.health(), await store.check()
    print(f"{masked(jobs.settings).store}: {health.backend}; {health.durability}")
    for finding in findings:
        print(f"{finding.id}: {finding.problem}")
    print(f"{len(findings)} findings" if findings else "every job is where it has to be")
    return 1 if findings else 0
