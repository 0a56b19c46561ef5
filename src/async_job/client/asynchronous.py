"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
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


class AsyncClient:
    """As ``Client``, for programs with an event loop; to be used in one of them.

    >>> async with AsyncClient("http://127.0.0.1:5079") as client:
    ...     job = await client.submit("demo", {"seconds": 2})
    ...     await job.result()
    """

    def __init__(
        self,
        url: str = connecting.DEFAULT_URL,
        *,
        api_key: str | None = None,
        patience: float = connecting.PATIENCE,
    ) -> None:
        self._http = httpx.AsyncClient(**connecting.client_options(url, api_key))
        self._short_calls = asyncio.Semaphore(connecting.SHORT_CALLS)
        self._verbs = Verbs(url, patience)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    @overload
    async def submit(
        self, function: JobFunction[P, R, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncRemoteJob[R]: ...
    @overload
    async def submit(
        self, type: str, /, input: Any = None, options: Options | None = None, key: str | None = None
    ) -> AsyncRemoteJob[Any]: ...
    async def submit(self, what: Any, /, *args: Any, **kwargs: Any) -> AsyncRemoteJob[Any]:
        """Stores a job; it is durable when this returns. See ``Client.submit``."""
        job = await self._take(self._verbs.submit(new_job(what, args, kwargs)))
        return AsyncRemoteJob(self, job, what if isinstance(what, JobFunction) else None)

    async def submit_many(
        self, jobs: Sequence[ToSubmit], *, key: str | None = None
    ) -> list[AsyncRemoteJob[Any] | AsyncJobError]:
        """Stores many jobs at once; one answer each, in order. See ``Client.submit_many``."""
        answers = await self._take(self._verbs.submit_many(new_batch(jobs), key))
        functions = [job.function if isinstance(job, Request) else None for job in jobs]
        return [
            answer if isinstance(answer, AsyncJobError) else AsyncRemoteJob(self, answer, function)
            for answer, function in zip(answers, functions, strict=True)
        ]

    async def get(self, id: str) -> Job:
        """The job as it is now. Raises ``JobNotFound``."""
        return await self._take(self._verbs.get(id))

    async def wait(self, id: str, timeout: float | None = None) -> Job:
        """The job when it has ended. Raises ``WaitTimeout`` after ``timeout`` seconds, or ``ServerError`` if no server
        answers by then, and ``JobNotFound``."""
        return await self._take(self._verbs.wait(id, timeout))

    @overload
    async def result(self, id: str, function: JobFunction[..., R, Any], *, timeout: float | None = None) -> R: ...
    @overload
    async def result(self, id: str, function: None = None, *, timeout: float | None = None) -> Any: ...
    async def result(
        self, id: str, function: JobFunction[..., Any, Any] | None = None, *, timeout: float | None = None
    ) -> Any:
        """Waits for the end and gives the result: as ``function`` says, or as plain JSON. See ``Client.result``."""
        return await self._take(self._verbs.result(id, function, timeout))

    async def cancel(self, id: str) -> Job:
        """Asks for a cancel; the job after it. Raises ``AlreadyFinished`` and ``JobNotFound``."""
        return await self._take(self._verbs.cancel(id))

    async def retry(self, id: str) -> Job:
        """Runs a failed, cancelled or expired job again, under the same id. See ``Client.retry``."""
        return await self._take(self._verbs.retry(id))

    async def rerun(self, id: str) -> AsyncRemoteJob[Any]:
        """A new job with the same input. Raises ``JobNotFound``, ``UnknownType``, ``InvalidInput``."""
        return AsyncRemoteJob(self, await self._take(self._verbs.rerun(id)), None)

    async def delete(self, id: str) -> None:
        """Removes an ended job. Raises ``NotFinished`` and ``JobNotFound``."""
        await self._take(self._verbs.delete(id))

    async def find(
        self, query: Query | None = None, *, cursor: str | None = None, limit: int | None = None, full: bool = False
    ) -> Page:
        """A page of the jobs that are as asked for. See ``Client.find``."""
        return await self._take(self._verbs.find(as_query(query), cursor, limit, full))

    async def find_all(self, query: Query | None = None, *, full: bool = False) -> AsyncIterator[Job]:
        """All jobs that are as asked for, page by page."""
        page = await self.find(query, full=full)
        for job in page.jobs:
            yield job
        while page.next_cursor is not None:
            page = await self.find(query, cursor=page.next_cursor, full=full)
            for job in page.jobs:
                yield job

    async def types(self) -> list[JobType]:
        """The functions that are registered on the server."""
        return await self._take(self._verbs.types())

    async def events(self, id: str, after: str | None = None) -> AsyncIterator[JobEvent]:
        """What happens to the job, as it happens, until its end. See ``Client.events``."""
        following = self._verbs.follow(id, after)
        while not following.ended:
            came: Reply | Lost = connecting.CUT
            try:
                async with self._http.stream(**connecting.request_options(following.call())) as response:
                    if response.status_code == HTTPStatus.OK:
                        async for piece in response.aiter_bytes():
                            for event in following.feed(piece):
                                yield event
                    else:
                        await response.aread()
                        came = connecting.read(response)
            except httpx.TransportError as error:
                came = connecting.lost(error)
            if not following.ended:
                await asyncio.sleep(following.cut(came))

    async def _take(self, steps: Steps[T]) -> T:
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
                    await asyncio.sleep(step.seconds)
                    came = None
                    continue
                try:
                    async with nullcontext() if step.hold else self._short_calls:
                        came = connecting.read(await self._http.request(**connecting.request_options(step)))
                except httpx.TransportError as error:
                    came = connecting.lost(error)


class AsyncRemoteJob(Generic[R]):
    """A submitted job; ``R`` is the type of its result. ``submitted`` is the job as the submit found or made it."""

    __slots__ = ("_client", "_function", "id", "submitted")

    def __init__(self, client: AsyncClient, job: Job, function: JobFunction[..., R, Any] | None) -> None:
        self._client = client
        self._function = function
        self.id = job.id
        self.submitted = job

    async def job(self) -> Job:
        """The whole job as it is now. Raises ``JobNotFound`` when it is no longer kept."""
        return await self._client.get(self.id)

    async def status(self) -> str:
        """The original word: PENDING, STARTING, COMPLETE, FAILED, CANCELLED or EXPIRED."""
        return (await self.job()).status

    async def wait(self, timeout: float | None = None) -> Job:
        """Waits until the job has ended, whatever the end; ``timeout`` in seconds, then ``WaitTimeout``."""
        return await self._client.wait(self.id, timeout)

    async def result(self, timeout: float | None = None) -> R:
        """Waits for the end and gives the function's result; see ``Client.result``."""
        result: R = await self._client.result(self.id, self._function, timeout=timeout)
        return result

    async def cancel(self) -> Job:
        """Asks for a cancel; the job after it. Raises ``AlreadyFinished``."""
        return await self._client.cancel(self.id)

    def events(self) -> AsyncIterator[JobEvent]:
        """What happens to the job, from now on until its end."""
        return self._client.events(self.id)

    def __repr__(self) -> str:
        return f"<AsyncRemoteJob {self.id}>"
