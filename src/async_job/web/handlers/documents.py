"""The handlers that describe the API: the OpenAPI document, and a page that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.types import Receive, Scope

from async_job.jobs import Jobs
from async_job.web.answer import JSON, Answer, encode
from async_job.web.openapi import document
from async_job.web.operation import Operation


class Documents:
    """``table`` is what the document tells of."""

    def __init__(self, jobs: Jobs, table: Sequence[Operation]) -> None:
        self._jobs = jobs
        self._table = table
        self._text = b""
        self._functions = -1

    def described(self) -> list[Operation]:
        """The table, with what describes it."""
        own = Operation("GET", "/openapi.json", self.openapi, "none", {200: dict[str, Any]})
        self._table = [*self._table, own]
        return [*self._table]

    async def openapi(self, scope: Scope, receive: Receive) -> Answer:
        """This document."""
        functions = len(self._jobs.functions)
        if functions != self._functions:
            # It is written once; functions may still be registered after the application is made.
            self._text, self._functions = encode(document(self._jobs, self._table)), functions
        root: str = scope["root_path"]
        head = b'{"servers":' + encode([{"url": root or "/"}]) + b","
        return Answer(200, [JSON, (b"cache-control", b"no-cache")], head + self._text[1:])
