"""From requests to stored jobs: many in one step, each on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from msgspec import Struct

from async_job.core.job import Job, State
from async_job.core.lifecycle import CancelRequested, Retention, decide
from async_job.core.submission import NO_OPTIONS, OnConflict, Options, new_job, owned_key
from async_job.errors import (
    AlreadyFinished,
    AsyncJobError,
    JobNotFound,
    KeyReused,
    StoreBroken,
    StoreUnavailable,
    UniqueKeyHeld,
)
from async_job.ids import new_id
from async_job.settings import Settings
from async_job.store.protocol import IdempotencyKey, Store, Submitted
from async_job.webhooks.targets import check_targets

if TYPE_CHECKING:
    from async_job.function import JobFunction

R = TypeVar("R")

TRIES: Final = 5
"""How often a job that is in the way is replaced, when another one takes its place each time."""


class Request(Struct, Generic[R], frozen=True, kw_only=True, gc=False):
    """A job that is asked for and not stored yet; ``R`` is the type of its result.

    ``input`` is JSON text that was checked against the function. ``owner`` is the id of the API key that asks, ``key``
    makes the request repeatable.
    """

    function: JobFunction[..., R, Any]
    input: bytes
    options: Options = NO_OPTIONS
    owner: str | None = None
    key: IdempotencyKey | None = None

    @property
    def queue(self) -> str:
        """Where the job will wait."""
        return self.options.queue or self.function.defaults.queue


class Accepted(Struct, frozen=True, gc=False):
    """What became of a request: the job's id, the job if it is new, and whether it was ``replayed``: made by the same
    request before."""

    id: str
    created: Job | None
    replayed: bool = False


async def submit_all(
    store: Store, requests: Sequence[Request[Any]], settings: Settings
) -> list[Accepted | AsyncJobError]:
    """Stores a job for each request; one answer each, in order. What is wrong with one does not hold up the others."""
    now = store.now()
    made = [_make(request, now) for request in requests]
    targets = [request.options.webhook for request in requests]
    if targets.count(None) < len(targets):
        wrong = await check_targets(store, targets, settings)
        made = [error or job for error, job in zip(wrong, made, strict=True)]
    jobs: list[Job] = []
    keys: list[IdempotencyKey | None] = []
    for n, job in enumerate(made):
        if isinstance(job, Job):
            jobs.append(job)
            keys.append(requests[n].key)
    stored = iter(await store.submit(jobs, keys))
    answers: list[Accepted | AsyncJobError] = []
    for n, job in enumerate(made):
        if isinstance(job, AsyncJobError):
            answers.append(job)
        elif (submitted := next(stored)).created:
            answers.append(Accepted(submitted.id, job))
        else:
            answers.append(await _not_created(store, requests[n], job, submitted, settings))
    return answers


def _make(request: Request[Any], now: int) -> Job | AsyncJobError:
    options, owner = request.options, request.owner
    try:
        key = owned_key(options.unique_key, owner)
        id = new_id(key if key is not None or request.key is None else request.key.name)
        return new_job(id, request.function.defaults, request.input, options, now, owner)
    except AsyncJobError as error:
        return error


def same_again(job: Job) -> Options:
    """The options that make another job like this one, without the unique key."""
    return Options(
        queue=job.queue,
        priority=job.priority,
        timeout=None if job.timeout is None else job.timeout / 1000,
        max_attempts=job.max_attempts,
        labels=job.labels,
        webhook=job.webhook,
    )


async def _not_created(
    store: Store, request: Request[Any], job: Job, submitted: Submitted, settings: Settings
) -> Accepted | AsyncJobError:
    if submitted.mismatched:
        return KeyReused(submitted.id)
    if submitted.replayed or request.options.on_conflict == OnConflict.RETURN_EXISTING:
        return Accepted(submitted.id, None, submitted.replayed)
    try:
        [holder] = await store.get([submitted.id])
        if request.options.on_conflict == OnConflict.REPLACE:
            return await _replace(store, request, job, holder, settings.retention)
    except StoreBroken as error:
        # The holder cannot be read, which is no answer for those that were stored.
        return error
    if holder is None:
        return JobNotFound(submitted.id)
    return _held(holder, request)


async def _replace(
    store: Store, request: Request[Any], job: Job, holder: Job | None, retention: Retention
) -> Accepted | AsyncJobError:
    """Cancels what has not started and submits again, until nothing is in the way."""
    for _ in range(TRIES):
        if holder is not None:
            if holder.state is State.RUNNING:
                return _held(holder, request)
            await _cancel(store, holder, retention)
        [submitted] = await store.submit([job], () if request.key is None else (request.key,))
        if submitted.created:
            return Accepted(job.id, job)
        [holder] = await store.get([submitted.id])
    return StoreUnavailable(
        f"the unique key {request.options.unique_key!r} was taken by another job {TRIES} times; try again"
    )


async def _cancel(store: Store, holder: Job, retention: Retention) -> None:
    """One try: if the job moves meanwhile, the next submit finds out."""
    try:
        change = decide(holder, CancelRequested(), store.now(), retention)
    except AlreadyFinished:
        return
    if change is not None:
        await store.apply([change])


def _held(holder: Job, request: Request[Any]) -> UniqueKeyHeld:
    key = request.options.unique_key
    message = f"job {holder.id} is {holder.state} and has the unique key {key!r} of {holder.type!r}"
    return UniqueKeyHeld(message, holder, holder.id)
