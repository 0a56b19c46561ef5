"""What a submit gives back: a job's id, and the questions to ask about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from async_job.core.job import Job
from async_job.submitting import Accepted

if TYPE_CHECKING:
    from async_job.jobs import Jobs

R = TypeVar("R")


class Handle(Generic[R]):
    """A job by its id; ``R`` is the type of its result. Every question reads the store anew."""

    __slots__ = ("_jobs", "created", "id", "replayed", "submitted")

    def __init__(self, jobs: Jobs, accepted: Accepted) -> None:
        self._jobs = jobs
        self.id = accepted.id
        self.created = accepted.created is not None
        """False: there was such a job already (a live one with the unique key, or one of the same request), and this
        is that job."""
        self.replayed = accepted.replayed
        """The same request, by its idempotency key, made the job before."""
        self.submitted = accepted.created
        """The job as this submit has stored it, if it was one that did."""

    async def job(self) -> Job:
        """The whole job as it is now. Raises ``JobNotFound`` when it is no longer kept."""
        return await self._jobs.get(self.id)

    async def status(self) -> str:
        """The original word: PENDING, STARTING, COMPLETE, FAILED, CANCELLED or EXPIRED."""
        return (await self.job()).status

    async def wait(self, timeout: float | None = None) -> Job:
        """Waits until the job has ended, whatever the end; ``timeout`` in seconds, then ``WaitTimeout``."""
        return await self._jobs.wait(self.id, timeout)

    async def result(self, timeout: float | None = None) -> R:
        """Waits for the end and gives the function's result.

        Raises:
            JobFailed, JobCancelled, JobExpired: it ended otherwise.
            WaitTimeout: not within ``timeout`` seconds; the job goes on.
            JobNotFound: it is no longer kept.
        """
        result: R = await self._jobs.result(self.id, timeout)
        return result

    async def cancel(self) -> Job:
        """Asks for a cancel and gives the job after it: ``cancelled``, or ``running`` with ``cancel_requested_at``.
        Raises ``AlreadyFinished`` when it has ended."""
        return await self._jobs.cancel(self.id)

    def job_sync(self) -> Job:
        """As ``job``, for callers without an event loop."""
        job: Job = self._jobs.blocking.call(self.job)
        return job

    def status_sync(self) -> str:
        """As ``status``, for callers without an event loop."""
        return self.job_sync().status

    def wait_sync(self, timeout: float | None = None) -> Job:
        """As ``wait``, for callers without an event loop."""
        job: Job = self._jobs.blocking.call(self.wait, timeout)
        return job

    def result_sync(self, timeout: float | None = None) -> R:
        """As ``result``, for callers without an event loop."""
        result: R = self._jobs.blocking.call(self.result, timeout)
        return result

    def cancel_sync(self) -> Job:
        """As ``cancel``, for callers without an event loop."""
        job: Job = self._jobs.blocking.call(self.cancel)
        return job

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"
