"""The client for programs without an event loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from http import HTTPStatus
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import httpx

from async_job.client import connecting
from async_job.client.following import JobEvent
from async_job.client.reading import JobType
from async_job.client.steps import Lost, Pause, Reply, Steps
from async_job.client.verbs import ToSubmit, Verbs, new_batch, new_job
from async_job.core.job import Job
from async_job.core.query import Query, as_query
from async_job.core.submission import Options
from async_job.errors import AsyncJobError
from async_job.finding import Page
from async_job.function import JobFunction
from async_job.submitting import Request

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Client:
    """Asks a server about jobs, and submits some.

    >>> with Client("http://127.0.0.1:5079") as client:
    ...     client.submit("demo", {"seconds": 2}).result()

    Can be used by several threads at once. ``patience``: seconds for which a call is repeated that the server did not
    answer or was too busy for; no job is made twice by that.

    Raises:
        UsageError: the URL is none of a server.
    """

    def __init__(
        self,
        url: str = connecting.DEFAULT_URL,
        *,
        api_key: str | None = None,
        patience: float = connecting.PATIENCE,
    ) -> None:
        self._http = httpx.Client(**connecting.client_options(url, api_key))
        self._short_calls = threading.Semaphore(connecting.SHORT_CALLS)
        self._verbs = Verbs(url, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @overload
    def submit(self, function: JobFunction[P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> RemoteJob[R]: ...
    @overload
    def submit(
        self, type: str, /, input: Any = None, options: Options | None = None, key: str | None = None
    ) -> RemoteJob[Any]: ...
    def submit(self, what: Any, /, *args: Any, **kwargs: Any) -> RemoteJob[Any]:
        """Stores a job; it is durable when this returns.

        Args:
            what: a registered function, which is followed by its own arguments (and has its own ``with_options``), or
                the name of a type, which is followed by ``input`` (JSON), ``options`` and ``key``, an idempotency key
                for a request that a later run of this program may repeat.

        Raises:
            InvalidInput: the input does not fit.
            InvalidOptions: an option or the key cannot be.
            UnknownType: the server knows no such type.
            UniqueKeyHeld: a live job has the unique key, and ``on_conflict`` is ``reject``.
            ServerError, StoreError: it cannot be stored.
        """
        job = self._take(self._verbs.submit(new_job(what, args, kwargs)))
        return RemoteJob(self, job, what if isinstance(what, JobFunction) else None)

    def submit_many(self, jobs: Sequence[ToSubmit], *, key: str | None = None) -> list[RemoteJob[Any] | AsyncJobError]:
        """Stores many jobs at once, much cheaper than one by one; one answer each, in order. A job that cannot be
        taken is answered by the error that ``submit`` would raise, and does not hold up the others.

        Args:
            jobs: ``function.request(…)`` with the function's own arguments, or ``(type, input)`` or
                ``(type, input, options)``.
            key: an idempotency key for a request that a later run of this program may repeat.

        More than 1,000 jobs or 3 MiB go in several batches, one after the other. A later batch that the server refuses
        answers each of its jobs by that error; if the server goes away in between, all that are left are answered by
        a ``ServerError`` or ``StoreError``, which says with what key to go on.

        Raises:
            InvalidInput: an input cannot be written as JSON; nothing was sent.
            InvalidOptions: the key cannot be one; nothing was sent.
            UsageError: the server refuses the first batch; nothing was stored.
            ServerError, StoreError: the first batch got no answer. It may be stored all the same, and the error says
                with what key to go on.
        """
        answers = self._take(self._verbs.submit_many(new_batch(jobs), key))
        functions = [job.function if isinstance(job, Request) else None for job in jobs]
        return [
            answer if isinstance(answer, AsyncJobError) else RemoteJob(self, answer, function)
            for answer, function in zip(answers, functions, strict=True)
        ]

    def get(self, id: str) -> Job:
        """The job as it is now. Raises ``JobNotFound``."""
        return self._take(self._verbs.get(id))

    def wait(self, id: str, timeout: float | None = None) -> Job:
        """The job when it has ended. Raises ``WaitTimeout`` after ``timeout`` seconds, or ``ServerError`` if no server
        answers by then, and ``JobNotFound``."""
        return self._take(self._verbs.wait(id, timeout))

    @overload
    def result(self, id: str, function: JobFunction[..., R, Any], *, timeout: float | None = None) -> R: ...
    @overload
    def result(self, id: str, function: None = None, *, timeout: float | None = None) -> Any: ...
    def result(
        self, id: str, function: JobFunction[..., Any, Any] | None = None, *, timeout: float | None = None
    ) -> Any:
        """Waits for the end and gives the result: as ``function`` says, or as plain JSON.

        Raises:
            JobFailed, JobCancelled, JobExpired: it ended otherwise.
            WaitTimeout: not within ``timeout`` seconds; the job goes on.
            ServerError: no server answers by then.
            JobNotFound: there is no such job.
        """
        return self._take(self._verbs.result(id, function, timeout))

    def cancel(self, id: str) -> Job:
        """Asks for a cancel; the job after it. Raises ``AlreadyFinished`` and ``JobNotFound``."""
        return self._take(self._verbs.cancel(id))

    def retry(self, id: str) -> Job:
        """Runs a failed, cancelled or expired job again, under the same id.

        If the answer is lost, and the job fails again before the call is repeated, it is retried twice.

        Raises:
            NotRetryable: it is live or has succeeded.
            UniqueKeyHeld: another live job has its unique key by now.
            JobNotFound: there is no such job.
        """
        return self._take(self._verbs.retry(id))

    def rerun(self, id: str) -> RemoteJob[Any]:
        """A new job with the same input. Raises ``JobNotFound``, ``UnknownType``, ``InvalidInput``."""
        return RemoteJob(self, self._take(self._verbs.rerun(id)), None)

    def delete(self, id: str) -> None:
        """Removes an ended job. Raises ``NotFinished`` and ``JobNotFound``."""
        self._take(self._verbs.delete(id))

    def find(
        self, query: Query | None = None, *, cursor: str | None = None, limit: int | None = None, full: bool = False
    ) -> Page:
        """A page of the jobs that are as asked for. Without ``full`` they come without their input and result.

        Args:
            cursor: where to go on, from the page before.
            limit: how many jobs, up to 200, or 20 if they are ``full``.

        Raises:
            InvalidOptions: the limit or the cursor cannot be.
        """
        return self._take(self._verbs.find(as_query(query), cursor, limit, full))

    def find_all(self, query: Query | None = None, *, full: bool = False) -> Iterator[Job]:
        """All jobs that are as asked for, page by page."""
        page = self.find(query, full=full)
        yield from page.jobs
        while page.next_cursor is not None:
            page = self.find(query, cursor=page.next_cursor, full=full)
            yield from page.jobs

    def types(self) -> list[JobType]:
        """The functions that are registered on the server."""
        return self._take(self._verbs.types())

    def events(self, id: str, after: str | None = None) -> Iterator[JobEvent]:
        """What happens to the job, as it happens, until its end; after the event of that id, or from now on.

        A stream that is cut is taken up where it was. Raises ``JobNotFound``.
        """
        following = self._verbs.follow(id, after)
        while not following.ended:
            came: Reply | Lost = connecting.CUT
            try:
                with self._http.stream(**connecting.request_options(following.call())) as response:
                    if response.status_code == HTTPStatus.OK:
                        for piece in response.iter_bytes():
                            yield from following.feed(piece)
                    else:
                        response.read()
                        came = connecting.read(response)
            except httpx.TransportError as error:
                came = connecting.lost(error)
            if not following.ended:
                time.sleep(following.cut(came))

    def _take(self, steps: Steps[T]) -> T:
        """Takes the steps, and returns what they return."""
        came: Reply | Lost | None = None
        with closing(steps):
            while True:
                try:
                    step = steps.send(came)
                except StopIteration as end:
                    answer: T = end.value
                    return answer
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    came = None
                    continue
                try:
                    with nullcontext() if step.hold else self._short_calls:
                        came = connecting.read(self._http.request(**connecting.request_options(step)))
                except httpx.TransportError as error:
                    came = connecting.lost(error)


class RemoteJob(Generic[R]):
    """A submitted job; ``R`` is the type of its result. ``submitted`` is the job as the submit found or made it."""

    __slots__ = ("_client", "_function", "id", "submitted")

    def __init__(self, client: Client, job: Job, function: JobFunction[..., R, Any] | None) -> None:
        self._client = client
        self._function = function
        self.id = job.id
        self.submitted = job

    def job(self) -> Job:
        """The whole job as it is now. Raises ``JobNotFound`` when it is no longer kept."""
        return self._client.get(self.id)

    def status(self) -> str:
        """The original word: PENDING, STARTING, COMPLETE, FAILED, CANCELLED or EXPIRED."""
        return self.job().status

    def wait(self, timeout: float | None = None) -> Job:
        """Waits until the job has ended, whatever the end; ``timeout`` in seconds, then ``WaitTimeout``."""
        return self._client.wait(self.id, timeout)

    def result(self, timeout: float | None = None) -> R:
        """Waits for the end and gives the function's result; see ``Client.result``."""
        result: R = self._client.result(self.id, self._function, timeout=timeout)
        return result

    def cancel(self) -> Job:
        """Asks for a cancel; the job after it. Raises ``AlreadyFinished``."""
        return self._client.cancel(self.id)

    def events(self) -> Iterator[JobEvent]:
        """What happens to the job, from now on until its end."""
        return self._client.events(self.id)

    def __repr__(self) -> str:
        return f"<RemoteJob {self.id}>"
