"""For users' own FastAPI applications: the routes of jobs as a router, with operations in the application's own docs.

    app = FastAPI(lifespan=lambda app: async_job.asgi.lifespan(jobs))
    app.include_router(async_job.fastapi.router(jobs), prefix="/jobs", dependencies=[…])

Each request goes on to ``asgi.app(jobs)``. The router says what there is, and lets FastAPI's dependencies decide.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from async_job import asgi
from async_job.function import JobFunction
from async_job.job_view import JobView
from async_job.jobs import Jobs
from async_job.web.app import operations
from async_job.web.closing import Closing
from async_job.web.mounting import below
from async_job.web.operation import Operation

OFFERED: Final = ("/v1/jobs", "/v1/job-types", "/v1/tickets")
"""What the router has: all about jobs. What is for administrators only the mounted application has."""
PROBLEM: Final = {
    "description": "A problem document (RFC 9457); its code says which",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
TYPED: Final = "/v1/job-types/{type}/jobs"


def router(jobs: Jobs) -> APIRouter:
    """The routes of ``/v1`` that are about jobs, to be included under any prefix.

    Each function that is registered by now has an operation of its own, with the schemas of its input and result; a
    type that refers to itself is described down to where it does so.
    """
    app = asgi.app(jobs)
    made = APIRouter()
    for operation in operations(jobs, Closing()):
        if not operation.path.startswith(OFFERED):
            continue
        if operation.path == TYPED:
            for function in jobs.functions.values():
                _add(made, app, operation, operation.path.format(type=function.type), **_typed(function))
        _add(made, app, operation, operation.path, **_general(operation))
    return made


def _add(router: APIRouter, app: ASGIApp, operation: Operation, path: str, **described: Any) -> None:
    router.add_api_route(
        path,
        _endpoint(app, path),
        methods=[operation.method],
        status_code=next(iter(operation.answers)),
        response_class=Response,
        response_model=None,
        **described,
    )


def _endpoint(app: ASGIApp, path: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Forwarded(app, path.format(**request.path_params))

    return endpoint


class Forwarded(Response):
    """The answer of another application; ``rest`` is what it sees of the path."""

    def __init__(self, app: ASGIApp, rest: str) -> None:
        super().__init__()
        self._app = app
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(below(scope, self._rest), receive, send)


def _typed(function: JobFunction[..., Any, Any]) -> dict[str, Any]:
    """What the docs say of the operation that starts a job of this function."""
    job = inlined(msgspec.json.schema(JobView))
    job["properties"]["result"] = {"anyOf": [inlined(function.result.json_schema), {"type": "null"}]}
    job["properties"]["input"] = inlined(function.input.json_schema)
    return {
        "name": f"start_{function.type}",
        "summary": f"Start {function.type}",
        "description": function.description,
        "responses": {202: {"description": "The job", "content": _json(job)}, "default": PROBLEM},
        "openapi_extra": {
            "requestBody": {"required": True, "content": _json(inlined(function.input.json_schema))},
            "parameters": [_header("Idempotency-Key"), _header("Prefer")],
        },
    }


def _general(operation: Operation) -> dict[str, Any]:
    """What the docs say of an operation of the route table."""
    described = inspect.getdoc(operation.handler) or ""
    extra: dict[str, Any] = {"parameters": _parameters(operation)}
    if operation.request is not None:
        extra["requestBody"] = {"required": True, "content": _json(_schema(operation.request))}
    return {
        "name": operation.handler.__name__,
        "summary": described.partition(".")[0],
        "description": described,
        "include_in_schema": operation.path != TYPED,
        "responses": {
            **{status: _response(status, type, operation) for status, type in operation.answers.items()},
            "default": PROBLEM,
        },
        "openapi_extra": extra,
    }


def _response(status: int, type: Any, operation: Operation) -> dict[str, Any]:
    if type is None:
        return {"description": "Nothing" if status == 204 else "Not modified"}
    if operation.streams:
        return {"description": "The events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {"description": "The answer", "content": _json(_schema(type))}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
        for part in operation.path.split("/")
        if part.startswith("{")
    ]
    if operation.query is not None:
        schema = _schema(operation.query)
        found += [
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": one}
            for name, one in schema["properties"].items()
        ]
    return found + [_header(name) for name in operation.headers]


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _schema(type: Any) -> dict[str, Any]:
    return inlined(msgspec.json.schema(type))


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema without references, for which there is no place in a document that FastAPI writes."""
    definitions: dict[str, Any] = schema.get("$defs", {})

    def inline(value: Any, within: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [inline(item, within) for item in value]
        if not isinstance(value, dict):
            return value
        name = str(value.get("$ref", "")).removeprefix("#/$defs/")
        if name in within:
            # The type refers to itself: from here on anything is right.
            return {}
        given = {key: inline(item, within) for key, item in value.items() if key not in ("$ref", "$defs")}
        if "propertyName" in given.get("discriminator", ()):
            # Its mapping is made of references, too.
            del given["discriminator"]
        return {**inline(definitions[name], (*within, name)), **given} if name else given

    made: dict[str, Any] = inline(schema, ())
    return made
