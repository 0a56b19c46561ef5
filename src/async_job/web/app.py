"""The application: which path is answered by whom, and what becomes of errors."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from async_job.errors import AsyncJobError
from async_job.jobs import Jobs
from async_job.logs import get_logger
from async_job.web import guard
from async_job.web.answer import Answer, Handler, send_answer
from async_job.web.body import ClientGone
from async_job.web.original import Original
from async_job.web.problems import Problem, problem_of, request_id
from async_job.web.routes import Routes

SERVER_ERROR: Final = "an error in the server; its log has it under this request_id"

log = get_logger()


class Resource:
    """A path with the handlers of its methods, as a plain ASGI endpoint of Starlette's router."""

    def __init__(self, **handlers: Handler) -> None:
        self._handlers = handlers
        if "GET" in handlers:
            # The server leaves the body out.
            self._handlers["HEAD"] = handlers["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["method"], self._refuse)
        await send_answer(await handler(scope, receive), send)

    async def _refuse(self, scope: Scope, receive: Receive) -> Answer:
        allowed = ", ".join([*self._handlers, "OPTIONS"])
        headers = [(b"allow", allowed.encode())]
        if scope["method"] == "OPTIONS":
            return Answer(204, headers)
        raise Problem(405, "method_not_allowed", f"this path takes {allowed}", headers)


def make_app(jobs: Jobs, lifespan: Lifespan[object], closing: asyncio.Event) -> ASGIApp:
    """The ASGI application for these jobs. Set ``closing`` when the server is about to stop."""
    router = Router(_routes(jobs, closing), redirect_slashes=False, default=_no_such_path, lifespan=lifespan)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await router(scope, receive, send)
            return
        try:
            guard.check(scope, jobs.settings.allow_open)
            await router(scope, receive, send)
        except ClientGone:
            log.debug("the client did not wait for its answer", path=scope["path"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the traceback
            await send_answer(_answer_to(error, scope), send)

    return app


def _routes(jobs: Jobs, closing: asyncio.Event) -> list[Route]:
    """The hot ones first: the router tries them in this order."""
    original = Original(jobs)
    v1 = Routes(jobs, closing)
    return [
        Route("/start-job", Resource(POST=original.start_default)),
        Route("/status-job/{id}", Resource(GET=original.status)),
        Route("/v1/jobs", Resource(POST=v1.submit)),
        Route("/v1/jobs/{id}", Resource(GET=v1.get)),
        Route("/start-job/{type}", Resource(POST=original.start)),
        Route("/v1/jobs/{id}/cancel", Resource(POST=v1.cancel)),
        Route("/v1/jobs/{id}/retry", Resource(POST=v1.retry)),
        Route("/v1/jobs/{id}/result", Resource(GET=v1.result)),
        Route("/v1/job-types", Resource(GET=v1.types)),
        Route("/healthz", Resource(GET=v1.live)),
        Route("/readyz", Resource(GET=v1.ready)),
    ]


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
