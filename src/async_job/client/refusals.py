"""From the problem documents of the server to the errors that the same question raises in process."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from async_job.client.steps import Reply
from async_job.errors import (
    AlreadyFinished,
    AsyncJobError,
    Conflict,
    InvalidInput,
    InvalidOptions,
    JobNotFound,
    KeyReused,
    NotAllowed,
    NotFinished,
    NotJson,
    NotRetryable,
    ServerError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    UnknownType,
    UsageError,
)


class Problem(Struct, frozen=True):
    """What is read of a problem document; not every kind has every member."""

    code: str
    detail: str = ""
    title: str = ""
    at: str = ""
    option: str = ""
    holder: str = ""
    job_type: str = ""
    known: tuple[str, ...] = ()
    job: str = ""


ERRORS: Final[dict[str, Callable[[Problem], AsyncJobError]]] = {
    "malformed_json": lambda problem: NotJson(problem.detail),
    "invalid_input": lambda problem: InvalidInput(problem.detail, problem.at),
    "too_deep": lambda problem: InvalidInput(problem.detail),
    "too_large": lambda problem: InvalidInput(problem.detail),
    "invalid_request": lambda problem: InvalidOptions(problem.detail, problem.at.removeprefix("$.")),
    "invalid_option": lambda problem: InvalidOptions(problem.detail, problem.option),
    "unknown_type": lambda problem: UnknownType(problem.job_type, problem.known),
    "idempotency_key_reused": lambda problem: KeyReused(problem.job),
    "job_gone": lambda problem: JobNotFound(problem.job),
    "store_unavailable": lambda problem: StoreUnavailable(problem.detail),
    "store_full": lambda problem: StoreFull(problem.detail),
    "store_refused": lambda problem: StoreRefused(problem.detail),
}

CONFLICTS: Final[dict[str, type[Conflict]]] = {
    "already_finished": AlreadyFinished,
    "not_retryable": NotRetryable,
    "not_finished": NotFinished,
    "conflict": Conflict,
}
"""These carry the job, which has to be read for that."""


def read_problem(reply: Reply, url: str) -> Problem:
    """The document in a reply that is not good.

    Raises:
        ServerError: there is none.
        NotAllowed: there is none, because somebody before the server wants to know who asks.
    """
    if "problem+json" in reply.headers.get("Content-Type", ""):
        try:
            return msgspec.json.decode(reply.body, type=Problem)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ServerError(f"{url} answered {reply.status} with a problem that cannot be read ({error})") from error
    what = f"{url} answered {reply.status}"
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise NotAllowed(what)
    raise ServerError(f"{what}; is it an async-job server?")


def error_of(problem: Problem, status: int, url: str, id: str = "") -> AsyncJobError:
    """The error that the problem tells of; ``id`` is the job that was asked about."""
    if problem.code == "job_not_found":
        return JobNotFound(id)
    make = ERRORS.get(problem.code)
    if make is not None:
        return make(problem)
    says = problem.detail or problem.title
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return NotAllowed(says)
    if 400 <= status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS:
        return UsageError(says)
    return ServerError(f"{url} answered {status}: {says}")
