"""The application: which path is answered by whom, and what becomes of errors."""

from __future__ import annotations

from typing import Any, Final

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from async_job.bulk import Outcome
from async_job.errors import AsyncJobError
from async_job.job_view import JobView
from async_job.jobs import Jobs
from async_job.logs import get_logger, traceback_of
from async_job.rates import Rates
from async_job.web import guard
from async_job.web.admission import Admission
from async_job.web.answer import Answer, send_answer
from async_job.web.body import ClientGone
from async_job.web.caller import with_limit
from async_job.web.closing import Closing
from async_job.web.gate import LIVENESS, Gate
from async_job.web.handlers.batches import Batches
from async_job.web.handlers.documents import Documents
from async_job.web.handlers.lists import Lists
from async_job.web.handlers.original import Original
from async_job.web.handlers.probes import Probes
from async_job.web.handlers.single import SingleJob
from async_job.web.handlers.streams import Streams
from async_job.web.handlers.submissions import Submissions
from async_job.web.handlers.system import System
from async_job.web.handlers.webhooks import Webhooks
from async_job.web.intake import Intake
from async_job.web.job_answer import JobAnswers
from async_job.web.job_events import JobEvents
from async_job.web.mounting import located
from async_job.web.operation import Operation, RequestHeader, Resource
from async_job.web.problems import Problem, problem_of, request_id
from async_job.web.request import note_headers
from async_job.web.schemas import Submission
from async_job.web.schemas_lists import BatchAnswer, BatchRequest, BulkRequest, JobList, ListQuery
from async_job.web.schemas_streams import AfterQuery, ChangePage, JobEventsQuery, NewTicket, TicketView
from async_job.web.schemas_system import JobTypes, Live, Queues, QueueView, Ready, Stats, Workers
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
    gate = Gate(jobs)
    table = Documents(jobs, operations(jobs, closing)).described()
    routes = _routes(table, jobs, gate, closing)
    router = Router(routes, redirect_slashes=False, default=_no_such_path, lifespan=lifespan)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await router(scope, receive, send)
            return
        scope = located(scope)
        note_headers(scope)
        try:
            guard.check_site(scope)
            await gate.check_host(scope)
            await router(scope, receive, send)
        except ClientGone:
            log.debug("the client did not wait for its answer", path=scope["path"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the traceback
            await send_answer(with_limit(scope, _answer_to(error, scope)), send)

    return app


def operations(jobs: Jobs, closing: Closing) -> list[Operation]:
    """The route table: all that the server answers. The hot ones stand first, for the router tries them in this order;
    a fixed path stands before one that it would fit."""
    rates = Rates()
    return [*_about_jobs(jobs, rates, closing), *_about_the_system(jobs, rates)]


def _about_jobs(jobs: Jobs, rates: Rates, closing: Closing) -> list[Operation]:
    intake = Intake(jobs, Admission(jobs, rates))
    answers = JobAnswers(jobs, rates)
    original = Original(jobs, intake)
    submissions = Submissions(jobs, intake, answers, closing)
    batches = Batches(jobs, intake)
    single = SingleJob(jobs, answers, closing)
    lists = Lists(jobs)
    streams = Streams(jobs)
    once: tuple[RequestHeader, ...] = ("Idempotency-Key",)
    waiting: tuple[RequestHeader, ...] = ("Idempotency-Key", "Prefer")
    started: dict[int, Any] = {202: JobView, 200: JobView}
    return [
        Operation("POST", "/start-job", original.start_default, "create", {200: str}, request=Any, headers=once),
        Operation("POST", "/start-job/{type}", original.start, "create", {200: str}, request=Any, headers=once),
        Operation("GET", "/status-job/{id}", original.status, "read", {200: str}),
        Operation("POST", "/v1/jobs", submissions.submit, "create", started, request=Submission, headers=waiting),
        Operation("GET", "/v1/jobs", lists.find, "read", {200: JobList}, query=ListQuery),
        Operation(
            "POST", "/v1/jobs/batch", batches.submit, "create", {200: BatchAnswer}, request=BatchRequest, headers=once
        ),
        Operation(
            "GET", "/v1/jobs/{id}", single.get, "read", {200: JobView, 304: None}, headers=("If-None-Match", "Prefer")
        ),
        Operation("DELETE", "/v1/jobs/{id}", single.delete, "manage", {204: None}),
        Operation(
            "POST",
            "/v1/job-types/{type}/jobs",
            submissions.submit_typed,
            "create",
            started,
            request=Any,
            headers=waiting,
        ),
        Operation("POST", "/v1/jobs/bulk/cancel", lists.cancel, "manage", {200: Outcome}, request=BulkRequest),
        Operation("POST", "/v1/jobs/bulk/retry", lists.retry, "manage", {200: Outcome}, request=BulkRequest),
        Operation("POST", "/v1/jobs/bulk/delete", lists.delete, "manage", {200: Outcome}, request=BulkRequest),
        Operation("POST", "/v1/jobs/{id}/cancel", single.cancel, "manage", started),
        Operation("POST", "/v1/jobs/{id}/retry", single.retry, "manage", {202: JobView}),
        Operation("POST", "/v1/jobs/{id}/rerun", submissions.rerun, "create", started, headers=waiting),
        Operation("GET", "/v1/jobs/{id}/result", single.result, "read", {200: Any}),
        Operation(
            "GET",
            "/v1/jobs/{id}/events",
            streams.of_job,
            "read",
            {200: JobEvents, 204: None},
            query=JobEventsQuery,
            headers=("Last-Event-ID",),
            streams=True,
            takes_ticket=True,
        ),
        Operation("POST", "/v1/tickets", streams.ticket, "read", {201: TicketView}, request=NewTicket),
    ]


def _about_the_system(jobs: Jobs, rates: Rates) -> list[Operation]:
    system = System(jobs, rates)
    streams = Streams(jobs)
    webhooks = Webhooks(jobs)
    probes = Probes(jobs)
    return [
        Operation("GET", "/v1/job-types", system.types, "read", {200: JobTypes}),
        Operation("GET", "/v1/queues", system.queues, "read", {200: Queues}),
        Operation("POST", "/v1/queues/{queue}/pause", system.pause, "admin", {200: QueueView}),
        Operation("POST", "/v1/queues/{queue}/resume", system.resume, "admin", {200: QueueView}),
        Operation("GET", "/v1/workers", system.workers, "admin", {200: Workers}),
        Operation("GET", "/v1/stats", system.stats, "admin", {200: Stats}),
        Operation(
            "GET",
            "/v1/events",
            streams.of_all,
            "admin",
            {200: ChangePage},
            query=AfterQuery,
            headers=("Last-Event-ID",),
            streams=True,
        ),
        Operation("GET", "/v1/webhooks/endpoints", webhooks.endpoints, "admin", {200: EndpointList}),
        Operation("POST", "/v1/webhooks/endpoints", webhooks.add, "admin", {201: AddedEndpoint}, request=NewEndpoint),
        Operation("DELETE", "/v1/webhooks/endpoints/{name}", webhooks.remove, "admin", {204: None}),
        Operation(
            "GET", "/v1/webhooks/deliveries", webhooks.deliveries, "admin", {200: DeliveryList}, query=DeliveryQuery
        ),
        Operation("POST", "/v1/webhooks/deliveries/{id}/replay", webhooks.replay, "admin", {202: DeliveryView}),
        Operation("GET", LIVENESS, probes.live, "none", {200: Live}),
        Operation("GET", "/readyz", probes.ready, "none", {200: Ready}),
        Operation("GET", "/metrics", probes.metrics, "metrics", {200: str}),
    ]


def _routes(table: list[Operation], jobs: Jobs, gate: Gate, closing: Closing) -> list[Route]:
    paths: dict[str, list[Operation]] = {}
    for operation in table:
        paths.setdefault(operation.path, []).append(operation)
    return [Route(path, Resource(found, jobs, gate, closing)) for path, found in paths.items()]


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    shown = f"{scope.get('root_path', '')}/docs"
    raise Problem(404, "unknown_path", f"there is nothing under this path; {shown} shows what there is")


def _answer_to(error: Exception, scope: Scope) -> Answer:
    """Every error as a problem document; the log hears of those that are not the client's."""
    id = request_id(scope)
    problem = error if isinstance(error, Problem) else None
    if isinstance(error, AsyncJobError):
        problem = problem_of(error)
    if problem is None:
        told = {"request_id": id, "method": scope["method"], "path": scope["path"]}
        log.error("a request failed", **told, exception=traceback_of(error))
        problem = Problem(500, "internal_error", SERVER_ERROR)
    elif problem.status >= 500:
        log.warning("a request could not be answered", request_id=id, path=scope["path"], error=problem.detail)
    return problem.answer(id)
