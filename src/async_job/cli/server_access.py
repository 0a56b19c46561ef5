"""The way to the jobs through a running server."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Self

import httpx
from msgspec import Raw, Struct

from async_job.cli.access import HOLD, Verb
from async_job.cli.view import JobView
from async_job.client.connecting import client_options, lost, read, request_options
from async_job.client.reading import JobTypes, decode
from async_job.client.refusals import error_of, read_problem
from async_job.client.steps import Call
from async_job.client.verbs import JSON, job_path, list_parameters, new_job
from async_job.core.query import Query
from async_job.core.submission import Options
from async_job.errors import NotAllowed, ServerError, UsageError


class Listed(Struct):
    """A page of jobs as they were sent."""

    items: list[Raw]
    next_cursor: str | None


class ServerAccess:
    """Over HTTP, as a client, but each question is asked once, and a job is kept as it was sent."""

    def __init__(self, url: str, api_key: str | None = None, options: str = "") -> None:
        self.options = options
        self._url = url.rstrip("/")
        self._has_key = api_key is not None
        self._client = httpx.AsyncClient(**client_options(url, api_key))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.aclose()

    async def input_schema(self, type: str) -> dict[str, Any]:
        types = decode(await self._ask(Call("GET", "/v1/job-types")), JobTypes, self._url).items
        for known in types:
            if known.type == type:
                return known.input_schema
        raise UsageError(f"the server knows no type {type!r}; it has {', '.join(known.type for known in types)}")

    async def submit(self, type: str, input: dict[str, Any], options: Options) -> str:
        call = Call("POST", "/v1/jobs", JSON, body=new_job(type, (input, options), {}).body)
        return JobView.of(await self._ask(call)).id

    async def read(self, id: str) -> JobView:
        return JobView.of(await self._ask(Call("GET", job_path(id)), id))

    async def change(self, verb: Verb, id: str) -> JobView:
        return JobView.of(await self._ask(Call("POST", f"{job_path(id)}/{verb}"), id))

    async def page(self, query: Query, cursor: str | None, limit: int) -> tuple[list[JobView], str | None]:
        call = Call("GET", "/v1/jobs", query=list_parameters(query, cursor, limit, full=False))
        page = decode(await self._ask(call), Listed, self._url)
        return [JobView.of(bytes(text)) for text in page.items], page.next_cursor

    async def changed(self, id: str, after: int) -> JobView | None:
        headers = {"Prefer": f"wait={HOLD}", "If-None-Match": f'"{after}"'}
        text = await self._ask(Call("GET", job_path(id), headers, hold=HOLD), id)
        return JobView.of(text) if text else None

    async def _ask(self, call: Call, id: str = "") -> bytes:
        """The body of a good answer; empty for "not modified". ``id`` is the job that is asked about."""
        try:
            reply = read(await self._client.request(**request_options(call)))
        except httpx.TransportError as error:
            raise ServerError(
                f"no server answers at {self._url} ({lost(error).why}); "
                "start one by `async-job serve`, or name another by --url or ASYNC_JOB_URL"
            ) from error
        if reply.status == HTTPStatus.NOT_MODIFIED:
            return b""
        if reply.is_good and "json" in reply.headers.get("Content-Type", ""):
            return reply.body
        refusal = error_of(read_problem(reply, self._url), reply.status, self._url, id)
        if isinstance(refusal, NotAllowed):
            hint = "it was that of" if self._has_key else "for these commands: set"
            raise NotAllowed(f"{refusal} ({hint} ASYNC_JOB_API_KEY)")
        raise refusal
