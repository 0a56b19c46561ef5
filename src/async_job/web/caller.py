"""Who sends a request: which API key, if any. What the access control finds out is noted in the scope."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from async_job.core.job import Job
from async_job.errors import JobNotFound

KEY: Final = "async_job.key"
CONFINED: Final = "async_job.confined"


def key_of(scope: Scope) -> str | None:
    """The id of the API key, which owns what it makes; ``None``: the request came without one."""
    key: str | None = scope.get(KEY)
    return key


def confined_to(scope: Scope) -> str | None:
    """The owner whose jobs alone the caller may see; ``None``: all jobs."""
    owner: str | None = scope.get(CONFINED)
    return owner


def visible(scope: Scope, job: Job) -> Job:
    """The job, if the caller may see it; else it is as unknown: ``JobNotFound``."""
    owner = confined_to(scope)
    if owner is not None and job.owner != owner:
        raise JobNotFound(job.id)
    return job
