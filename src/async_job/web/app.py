"""The application: which path is answered by whom, and what becomes of errors."""

from __future__ import annotations

from typing import Any, Final

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from async_job.errors import AsyncJobError
from async_job.job_view import JobView
from async_job.jobs import Jobs
from async_job.logs import get_logger
from async_job.web import guard
from async_job.web.answer import Answer, send_answer
from async_job.web.body import ClientGone
from async_job.web.closing import Closing
from async_job.web.handlers.original import Original
from async_job.web.handlers.single import SingleJob
from async_job.web.handlers.submissions import Submissions
from async_job.web.handlers.system import System
from async_job.web.handlers.webhooks import Webhooks
from async_job.web.mounting import located
from async_job.web.operation import Operation, Resource
from async_job.web.problems import Problem, problem_of, request_id
from async_job.web.schemas import Submission
from async_job.web.schemas_system import JobTypes, Live, Ready
from async_job.web.schemas_webhooks import (
    AddedEndpoint,
    DeliveryList,
    DeliveryQuery,
    DeliveryView,
    EndpointList,
    NewEndpoint,
)

SERVER_ERROR: Final = "an error in the server; its log has it under this request_id"

log = get_logger()


def make_app(jobs: Jobs, lifespan: Lifespan[object], closing: Closing) -> ASGIApp:
    """The ASGI application for these jobs. Set ``closing`` when the server is about to stop."""
    routes = _routes(operations(jobs, closing))
    router = Router(routes, redirect_slashes=False, default=_no_such_path, lifespan=lifespan)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await router(scope, receive, send)
            return
        scope = located(scope)
        try:
            guard.check(scope, jobs.settings.allow_open)
            await router(scope, receive, send)
        except ClientGone:
            log.debug("the client did not wait for its answer", path=scope["path"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the traceback
            await send_answer(_answer_to(error, scope), send)

    return app


def operations(jobs: Jobs, closing: Closing) -> list[Operation]:
    """The route table: all that the server answers. The hot ones stand first, for the router tries them in this order;
    a fixed path stands before one that it would fit."""
    original = Original(jobs)
    submissions = Submissions(jobs, closing)
    single = SingleJob(jobs, closing)
    system = System(jobs)
    webhooks = Webhooks(jobs)
    return [
        Operation("POST", "/start-job", original.start_default, "create", {200: str}, request=Any),
        Operation("GET", "/status-job/{id}", original.status, "read", {200: str}),
        Operation(
            "POST",
            "/v1/jobs",
            submissions.submit,
            "create",
            {202: JobView, 200: JobView},
            request=Submission,
            headers=("Prefer",),
        ),
        Operation(
            "GET", "/v1/jobs/{id}", single.get, "read", {200: JobView, 304: None}, headers=("If-None-Match", "Prefer")
        ),
        Operation("POST", "/start-job/{type}", original.start, "create", {200: str}, request=Any),
        Operation("POST", "/v1/jobs/{id}/cancel", single.cancel, "manage", {200: JobView, 202: JobView}),
        Operation("POST", "/v1/jobs/{id}/retry", single.retry, "manage", {202: JobView}),
        Operation("GET", "/v1/jobs/{id}/result", single.result, "read", {200: Any}),
        Operation("GET", "/v1/job-types", system.types, "read", {200: JobTypes}),
        Operation("GET", "/v1/webhooks/endpoints", webhooks.endpoints, "admin", {200: EndpointList}),
        Operation("POST", "/v1/webhooks/endpoints", webhooks.add, "admin", {201: AddedEndpoint}, request=NewEndpoint),
        Operation("DELETE", "/v1/webhooks/endpoints/{name}", webhooks.remove, "admin", {204: None}),
        Operation(
            "GET", "/v1/webhooks/deliveries", webhooks.deliveries, "admin", {200: DeliveryList}, query=DeliveryQuery
        ),
        Operation("POST", "/v1/webhooks/deliveries/{id}/replay", webhooks.replay, "admin", {202: DeliveryView}),
        Operation("GET", "/healthz", system.live, "none", {200: Live}),
        Operation("GET", "/readyz", system.ready, "none", {200: Ready}),
    ]


def _routes(table: list[Operation]) -> list[Route]:
    paths: dict[str, list[Operation]] = {}
    for operation in table:
        paths.setdefault(operation.path, []).append(operation)
    return [Route(path, Resource(found)) for path, found in paths.items()]


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    raise Problem(404, "unknown_path", "there is nothing under this path")


def _answer_to(error: Exception, scope: Scope) -> Answer:
    """Every error as a problem document; the log hears of those that are not the client's."""
    id = request_id(scope)
    problem = error if isinstance(error, Problem) else None
    if isinstance(error, AsyncJobError):
        problem = problem_of(error)
    if problem is None:
        log.exception("a request failed", request_id=id, method=scope["method"], path=scope["path"], exc_info=error)
        problem = Problem(500, "internal_error", SERVER_ERROR)
    elif problem.status >= 500:
        log.warning("a request could not be answered", request_id=id, path=scope["path"], error=problem.detail)
    return problem.answer(id)
