"""The original's two endpoints, to the letter. They never change."""

from __future__ import annotations

from typing import Final

from starlette.types import Receive, Scope

from async_job.errors import JobNotFound, UnknownType
from async_job.jobs import Jobs
from async_job.web.answer import JSON, TEXT, Answer
from async_job.web.body import check_input, read_json
from async_job.web.problems import Problem
from async_job.web.request import accepts_json, header, path_guid

EMPTY_INPUT: Final = b"{}"


class Original:
    """Handlers of ``/start-job`` and ``/status-job``."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def start_default(self, scope: Scope, receive: Receive) -> Answer:
        """``POST /start-job``: no body or ``{}`` is a job with no input, any other body is its input."""
        return await self._start(self._jobs.default.type, scope, receive)

    async def start(self, scope: Scope, receive: Receive) -> Answer:
        """``POST /start-job/{type}``"""
        try:
            return await self._start(self._jobs.function(scope["path_params"]["type"]).type, scope, receive)
        except UnknownType as error:
            raise Problem(404, "unknown_type", str(error)) from error

    async def _start(self, type: str, scope: Scope, receive: Receive) -> Answer:
        refuse_idempotency_key(scope)
        settings = self._jobs.settings
        input = await read_json(scope, receive, settings.max_input) or EMPTY_INPUT
        check_input(input, settings.max_input, settings.max_depth)
        handle = await self._jobs.submit(type, input)
        return Answer(200, [JSON], b'"%b"' % handle.id.encode())

    async def status(self, scope: Scope, receive: Receive) -> Answer:
        """``GET /status-job/{id}``: one word. Unknown, no longer kept or not a GUID: nothing, or ``null`` in JSON."""
        status = await self._status(path_guid(scope))
        if accepts_json(scope):
            return Answer(200, [JSON], b'"%b"' % status if status else b"null")
        return Answer(200, [TEXT], status)

    async def _status(self, id: str | None) -> bytes:
        if id is None:
            return b""
        try:
            return (await self._jobs.get(id)).status.encode()
        except JobNotFound:
            return b""


def refuse_idempotency_key(scope: Scope) -> None:
    """A key that is not heeded would let a repeated request start a second job."""
    if header(scope, b"idempotency-key") is not None:
        detail = "Idempotency-Key is not supported yet; send unique_key, or leave the header out"
        raise Problem(400, "idempotency_not_supported", detail)
