"""What the OpenAPI document says of answers: which problems each operation may answer with, headers, and links."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from async_job.job_view import JobView
from async_job.web.openapi_schemas import Schema, reference
from async_job.web.operation import Operation

EVENTS: Final = "text/event-stream"
TEXT: Final = "text/plain"
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"

PROBLEMS: Final = {
    400: "The body is no JSON, or a header cannot be read",
    401: "No API key, or one that is not known",
    403: "The key has not the scope, or another site's page asks",
    404: "Not known, no longer kept, or not yours",
    408: "The body did not arrive in time",
    409: "The state of things does not allow it",
    410: "No longer kept",
    413: "The body is too large",
    415: "The body is not said to be JSON",
    421: "The name that the server is called by does not belong to it",
    422: "What was sent is not what is taken",
    429: "The key has asked too often",
    500: "An error in the server",
    503: "The queue is full, the store is away, or the server stops",
    507: "The store is full",
}
WITH_PAUSE: Final = (429, 503, 507)
CONFLICTING: Final = ("/cancel", "/retry", "/rerun", "/result", "/endpoints")
"""How the paths end where the state of things decides, besides those that make jobs."""

STRING: Final[Schema] = {"type": "string"}
SECONDS: Final[Schema] = {"type": "integer", "minimum": 0}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ETag": {
        "description": "The job's version.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"\\d+"$'},
    },
    "Retry-After": {"description": "Seconds after which it is worth asking again.", "schema": SECONDS},
    "Location": {"description": "Where the job is.", "schema": {"type": "string", "format": "uri-reference"}},
    "Preference-Applied": {"description": "How long the answer was waited for.", "schema": STRING},
    "Idempotency-Replayed": {
        "description": "The same request was there before; this is the job that it made.",
        "schema": {"const": "true"},
    },
    "Link": {"description": "The next page.", "schema": STRING},
    "X-Request-Id": {"description": "As in the document.", "required": True, "schema": STRING},
    "WWW-Authenticate": {"description": "How to show a key.", "schema": STRING},
    "RateLimit": {"description": "How many more requests the key may send, for a key with a rate.", "schema": STRING},
    "RateLimit-Policy": {"description": "How many requests a minute that is.", "schema": STRING},
}

JOB_LINKS: Final = {
    "get": ("SingleJob.get", "The job as it is."),
    "cancel": ("SingleJob.cancel", "Cancels the job."),
    "result": ("SingleJob.result", "What its function returned."),
    "events": ("Streams.of_job", "What happens to it."),
    "delete": ("SingleJob.delete", "Removes it once it has ended."),
    "retry": ("SingleJob.retry", "Runs it again."),
    "rerun": ("Submissions.rerun", "Starts another one like it."),
    "status": ("Original.status", "Its status in one word."),
}


def problem_statuses(operation: Operation) -> list[int]:
    """The problems that it may answer with."""
    found = {421, 500, 503}
    if operation.method != "GET":
        found |= {403, 507}
    if operation.needs != "none":
        found |= {401, 403, 429}
    if "{" in operation.path and operation.path != "/status-job/{id}":
        found.add(404)
    if operation.request is not None:
        found |= {400, 408, 413, 415, 422}
    if operation.path == "/v1/tickets":
        found.add(404)
    if operation.query is not None:
        found.add(422)
    if operation.needs == "create":
        found |= {400, 408, 409, 410, 413, 415, 422}
    if operation.path.endswith(CONFLICTING) or operation.method == "DELETE":
        found.add(409)
    if operation.path.endswith("/result"):
        found.add(410)
    if operation.path == "/v1/job-types/{type}/jobs" or operation.path == "/start-job/{type}":
        # Each type has a path of its own, which is there.
        found.discard(404)
    return sorted(found)


def problem_name(status: int) -> str:
    """Under which name its response stands in the document."""
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def problem_response(status: int) -> dict[str, Any]:
    names = ["X-Request-Id"]
    if status in WITH_PAUSE or status == 409:
        names.append("Retry-After")
    if status in (401, 403):
        names.append("WWW-Authenticate")
    if status == 429:
        names += ["RateLimit", "RateLimit-Policy"]
    content = {"schema": reference("Problem")}
    return {"description": PROBLEMS[status], "headers": headers(names), "content": {PROBLEM_JSON: content}}


def headers(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def answer_headers(operation: Operation, status: int) -> list[str]:
    """The headers of an answer that is no problem."""
    names: list[str] = []
    if operation.answers[status] is JobView or status == 304:
        names += ["ETag", "Retry-After"]
        if operation.needs == "create" or operation.path.endswith("/retry"):
            names.append("Location")
    if "Prefer" in operation.headers:
        names.append("Preference-Applied")
    if "Idempotency-Key" in operation.headers:
        names.append("Idempotency-Replayed")
    if operation.path == "/v1/jobs" and operation.method == "GET":
        names.append("Link")
    if operation.needs != "none":
        names += ["RateLimit", "RateLimit-Policy"]
    return names


def media(operation: Operation, schema: Schema) -> dict[str, Schema]:
    """In which forms an answer comes. The original's endpoints and the metrics are not as the others are."""
    if operation.streams:
        return {EVENTS: STRING, JSON: schema}
    if operation.path.startswith("/start-job"):
        return {JSON: {"type": "string", "format": "uuid"}}
    if operation.path.startswith("/status-job"):
        return {TEXT: STRING, JSON: {"type": ["string", "null"]}}
    return {TEXT: STRING} if operation.answers.get(200) is str else {JSON: schema}


def links(operation: Operation, status: int) -> dict[str, Any]:
    """Where to go with the id that an answer has."""
    answer = operation.answers[status]
    if answer is JobView:
        return _job_links("$response.body#/id")
    if operation.path.startswith("/start-job"):
        return _job_links("$response.body")
    if operation.path == "/v1/jobs/batch":
        return _job_links("$response.body#/items/0/job/id")
    if operation.path == "/v1/webhooks/endpoints" and operation.method == "POST":
        return {"remove": {"operationId": "Webhooks.remove", "parameters": {"name": "$response.body#/name"}}}
    return {}


def _job_links(id: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {"operationId": operation, "parameters": {"id": id}, "description": description}
        for name, (operation, description) in JOB_LINKS.items()
    }
    ticket = {"operationId": "Streams.ticket", "requestBody": {"job": id}, "description": "Lets a browser follow it."}
    return {**found, "ticket": ticket}
