"""The original's two endpoints, to the letter. They never change."""

from __future__ import annotations

from typing import Final

from starlette.types import Receive, Scope

from async_job.errors import JobNotFound
from async_job.jobs import Jobs
from async_job.web.answer import JSON, TEXT, Answer, Headers
from async_job.web.body import read_json
from async_job.web.caller import visible
from async_job.web.idempotency import REPLAYED
from async_job.web.intake import Intake
from async_job.web.request import accepts_json, path_guid

EMPTY_INPUT: Final = b"{}"


class Original:
    """Handlers of ``/start-job`` and ``/status-job``."""

    def __init__(self, jobs: Jobs, intake: Intake) -> None:
        self._jobs = jobs
        self._intake = intake

    async def start_default(self, scope: Scope, receive: Receive) -> Answer:
        """Starts the default job, and answers with its GUID. No body or ``{}`` is a job with no input, any other
        body is its input."""
        return await self._start(self._jobs.default.type, scope, receive, "POST /start-job")

    async def start(self, scope: Scope, receive: Receive) -> Answer:
        """Starts a job of this type, and answers with its GUID; the body is its input."""
        type = self._intake.known(scope["path_params"]["type"])
        return await self._start(type, scope, receive, "POST /start-job/{type}")

    async def _start(self, type: str, scope: Scope, receive: Receive, route: str) -> Answer:
        settings = self._jobs.settings
        input = await read_json(scope, receive, settings.max_input, settings.body_deadline) or EMPTY_INPUT
        key = await self._intake.key(scope, route, input)
        handle = await self._intake.start(scope, type, input, key)
        headers: Headers = [JSON]
        if handle.replayed:
            # It may be no longer kept.
            await self._intake.job(handle)
            headers.append(REPLAYED)
        return Answer(200, headers, b'"%b"' % handle.id.encode())

    async def status(self, scope: Scope, receive: Receive) -> Answer:
        """The job's status in one word. Unknown, no longer kept or not a GUID: nothing, or ``null`` in JSON."""
        status = await self._status(scope)
        if accepts_json(scope):
            return Answer(200, [JSON], b'"%b"' % status if status else b"null")
        return Answer(200, [TEXT], status)

    async def _status(self, scope: Scope) -> bytes:
        id = path_guid(scope)
        if id is None:
            return b""
        try:
            return visible(scope, await self._jobs.get(id)).status.encode()
        except JobNotFound:
            return b""
