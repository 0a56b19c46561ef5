"""A row of the route table: what a method of a path does, who may, what it takes and what it answers."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from starlette.types import Receive, Scope, Send

from async_job.jobs import Jobs
from async_job.web.answer import Answer, Handler, send_answer
from async_job.web.caller import with_limit
from async_job.web.closing import Closing
from async_job.web.gate import Gate
from async_job.web.problems import Problem
from async_job.web.sse import send_stream

Needed = Literal["none", "create", "read", "manage", "admin", "metrics"]
"""The scope that an API key needs; ``none``: nobody is asked for a key."""
RequestHeader = Literal["Idempotency-Key", "Prefer", "If-None-Match", "Last-Event-ID"]


class Operation(Struct, frozen=True):
    """``handler``'s docstring describes it.

    ``request`` is the type of the JSON body (``None``: there is none), ``query`` a Struct of the query's parameters.
    ``answers`` has the body's type for each status that is no problem: a type that msgspec knows, ``Any`` for JSON of
    any kind, ``str`` for text, ``None`` for no body. ``headers`` are the request headers that it heeds, ``streams``
    says that it answers with server-sent events unless JSON is asked for, ``takes_ticket`` that a ticket for the job in
    its path opens it, too.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Handler
    needs: Needed
    answers: dict[int, Any]
    request: Any = None
    query: Any = None
    headers: tuple[RequestHeader, ...] = ()
    streams: bool = False
    takes_ticket: bool = False


class Resource:
    """A path with its operations, as a plain ASGI endpoint of Starlette's router."""

    def __init__(self, operations: list[Operation], jobs: Jobs, gate: Gate, closing: Closing) -> None:
        self._jobs = jobs
        self._gate = gate
        self._closing = closing
        self._operations: dict[str, Operation] = {operation.method: operation for operation in operations}
        methods: list[str] = [*self._operations]
        if "GET" in self._operations:
            methods.append("HEAD")
        self._allowed = ", ".join([*methods, "OPTIONS"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Of an answer to HEAD the server leaves the body out.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self._operations.get(method)
        if operation is None:
            await send_answer(self._refuse(scope), send)
            return
        if operation.needs != "none":
            await self._gate.admit(scope, operation.needs, takes_ticket=operation.takes_ticket)
        answer = with_limit(scope, await operation.handler(scope, receive))
        if answer.stream is None or scope["method"] == "HEAD":
            await send_answer(answer, send)
        else:
            admitted, deadline = self._gate.while_admitted(scope, answer.stream), self._jobs.settings.send_deadline
            await send_stream(answer.headers, admitted, scope, receive, send, self._closing, deadline)

    def _refuse(self, scope: Scope) -> Answer:
        headers = [(b"allow", self._allowed.encode())]
        if scope["method"] == "OPTIONS":
            return Answer(204, headers)
        raise Problem(405, "method_not_allowed", f"this path takes {self._allowed}", headers)
