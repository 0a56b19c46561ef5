"""Who sends a request: which API key, if any. What the access control finds out is noted in the scope."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from async_job.access.keys import ApiKey
from async_job.core.job import Job
from async_job.errors import JobNotFound
from async_job.web.answer import Answer, Headers
from async_job.web.problems import Problem
from async_job.webhooks.targets import is_url

KEY: Final = "async_job.key"
CONFINED: Final = "async_job.confined"
WEBHOOK: Final = "async_job.webhook"
LIMIT: Final = "async_job.limit"


def note_key(scope: Scope, key: ApiKey) -> None:
    """The request came with this key, which was let in."""
    scope[KEY] = key.id
    scope[CONFINED] = None if key.may("admin") else key.id
    scope[WEBHOOK] = key.may("webhook")


def note_limit(scope: Scope, headers: Headers) -> None:
    """Whatever the answer is, it has these headers, too."""
    scope[LIMIT] = headers


def with_limit(scope: Scope, answer: Answer) -> Answer:
    """The answer; a caller whose key has a rate is told how many more he may ask for."""
    headers: Headers | None = scope.get(LIMIT)
    return answer._replace(headers=[*answer.headers, *headers]) if headers else answer


def check_webhook(scope: Scope, target: str | None) -> None:
    """Raises a problem when the caller names a URL and may name only endpoints."""
    if target is not None and is_url(target) and not scope.get(WEBHOOK, True):
        detail = "webhook: to name a URL needs a key with the scope webhook; name an endpoint"
        raise Problem(403, "scope_missing", detail)


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
