"""The OpenAPI document, written from the route table, msgspec's schemas and the registered functions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec

from async_job.core.submission import NAME
from async_job.function import JobFunction
from async_job.job_view import JobView
from async_job.jobs import Jobs
from async_job.web.idempotency import KEY
from async_job.web.openapi_examples import ID, input_of, job_of
from async_job.web.openapi_responses import (
    HEADERS,
    JSON,
    PROBLEMS,
    answer_headers,
    headers,
    links,
    media,
    problem_name,
    problem_response,
    problem_statuses,
)
from async_job.web.openapi_schemas import FunctionSchemas, Schema, Schemas
from async_job.web.operation import Operation, RequestHeader
from async_job.web.schemas import Submission
from async_job.web.schemas_lists import ListQuery

Function = JobFunction[..., Any, Any]

DESCRIPTION: Final = """Starts jobs, and tells what becomes of them.

`POST /v1/jobs` answers with the job before it has run. Ask for it until `done`, or let the server hold the answer
back (`Prefer: wait=30`), or follow its events. Each function that is registered has an operation of its own, too.
"""
TAGS: Final = {
    "functions": "One operation for each registered function; the body is its input.",
    "jobs": "Starting jobs, and all about one.",
    "many jobs": "Lists, batches, and the same done to many.",
    "system": "Functions, queues, workers and the changes of all jobs.",
    "webhooks": "Who is told of the end of jobs.",
    "original": "The short endpoints, which never change.",
    "probes": "For those who watch the server.",
}
TAG_OF: Final = {
    "Submissions": "jobs",
    "SingleJob": "jobs",
    "Streams": "jobs",
    "Lists": "many jobs",
    "Batches": "many jobs",
    "System": "system",
    "Webhooks": "webhooks",
    "Original": "original",
}
NAME_PATTERN: Final = f"^{NAME.pattern}$"
KEY_PATTERN: Final = f"^(?:{KEY.pattern.decode()})$"

REQUEST_HEADERS: Final[dict[RequestHeader, dict[str, Any]]] = {
    # Pages fill examples in. With a key so filled in, whoever tries a second time would get the first job again.
    "Idempotency-Key": {
        "description": "The same request with the same key, such as `order-1234`, makes no second job, for 24 hours.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    },
    "Prefer": {
        "description": "How long the answer may wait for the job.",
        "schema": {"type": "string"},
        "example": "wait=5",
    },
    "If-None-Match": {"description": 'The `ETag` that is known, such as `"3"`.', "schema": {"type": "string"}},
    "Last-Event-ID": {
        "description": "The id of the last event that was seen, such as `1.0`; it counts before `after`.",
        "schema": {"type": "string"},
    },
}
SECURITY_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "aj_…",
        "description": "An API key, which `async-job keys create` makes. A server that has none asks for none.",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same, in another header."},
}
TYPED: Final = "{type}"
START_BY_NAME: Final = ("/v1/jobs", "/v1/jobs/batch")


def document(jobs: Jobs, table: Sequence[Operation]) -> dict[str, Any]:
    """The document for an application that is not mounted in another one."""
    return Writer(jobs).document(table)


class Writer:
    def __init__(self, jobs: Jobs) -> None:
        self._schemas = Schemas()
        self._default = jobs.default
        self._functions: dict[str, Function] = dict(sorted(jobs.functions.items()))
        self._typed: dict[str, FunctionSchemas] = {
            type: self._schemas.of_function(function) for type, function in self._functions.items()
        }
        self._inputs = {
            type: input_of(function, self._typed[type].input, self._schemas)
            for type, function in self._functions.items()
        }

    def document(self, table: Sequence[Operation]) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for operation in table:
            for path, function in self._places(operation):
                paths.setdefault(path, {})[operation.method.lower()] = self._operation(operation, function)
        self._type_submissions()
        return {
            "openapi": "3.1.1",
            "info": {
                "title": "Jobs",
                "version": version("async-job"),
                "description": DESCRIPTION,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
            "paths": paths,
            "components": {
                "schemas": self._schemas.components,
                "responses": {problem_name(status): problem_response(status) for status in PROBLEMS},
                "headers": HEADERS,
                "securitySchemes": SECURITY_SCHEMES,
            },
        }

    def _type_submissions(self) -> None:
        """What starts a job by its type's name is one of the functions' submissions."""
        self._schemas.components["BatchRequest"]["properties"]["jobs"]["items"] = self._schemas.batch_entry()
        known = [typed.submission for typed in self._typed.values()]
        self._schemas.components["Submission"] = {
            "title": "Submission",
            "description": inspect.getdoc(Submission),
            "oneOf": known,
        }

    def _places(self, operation: Operation) -> Iterator[tuple[str, Function | None]]:
        """Under which paths it stands: what has a type in its path stands there once for each function."""
        if TYPED in operation.path:
            for type, function in self._functions.items():
                yield operation.path.replace(TYPED, type), function
        else:
            yield operation.path, self._default if operation.path == "/start-job" else None

    def _operation(self, operation: Operation, function: Function | None) -> dict[str, Any]:
        name: str = getattr(operation.handler, "__qualname__", operation.path)
        said = inspect.getdoc(operation.handler) or ""
        by_type = function is not None and TYPED in operation.path
        made: dict[str, Any] = {
            "operationId": f"{name}.{function.type}" if function is not None and by_type else name,
            "summary": " ".join(re.split("[.:;]", said)[0].replace("``", "").split()),
            "description": said,
            "tags": [TAG_OF.get(name.partition(".")[0], "probes")],
            "parameters": self._parameters(operation),
            "responses": self._responses(operation, function),
            "security": [] if operation.needs == "none" else [{"bearer": []}, {"header": []}],
        }
        if operation.needs != "none":
            made["description"] += f"\n\nNeeds a key with the scope `{operation.needs}`."
        if function is not None and by_type:
            made["description"] = f"{function.description}\n\n{made['description']}".strip()
            made["summary"] = f"Start {function.type}"
            if operation.path.startswith("/v1"):
                made["tags"] = ["functions"]
        if operation.request is not None:
            made["requestBody"] = self._body(operation, function)
        return made

    def _body(self, operation: Operation, function: Function | None) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": self._schemas.of(operation.request)}
        required = True
        if function is not None:
            content["schema"] = self._typed[function.type].input
            required = bool(self._schemas.resolved(content["schema"]).get("required"))
            example: Any = self._inputs[function.type]
        else:
            example = self._submission() if operation.path in START_BY_NAME else None
        if operation.path == "/v1/jobs/batch" and example is not None:
            example = {"jobs": [example]}
        if example is not None:
            content["example"] = example
        return {"required": required, "content": {JSON: content}}

    def _submission(self) -> dict[str, Any] | None:
        """A job of the first function for which an input is known."""
        known = [{"type": type, "input": input} for type, input in self._inputs.items() if input is not None]
        return known[0] if known else None

    def _responses(self, operation: Operation, function: Function | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for status, type in operation.answers.items():
            answer: dict[str, Any] = {
                "description": HTTPStatus(status).phrase,
                "headers": headers(answer_headers(operation, status)),
                "links": links(operation, status),
            }
            if type is JobView and function is not None:
                answer["content"] = {JSON: self._typed_job(function)}
            elif type is not None:
                content = media(operation, self._schemas.of(type))
                answer["content"] = {name: {"schema": one} for name, one in content.items()}
            found[str(status)] = answer
        for status in problem_statuses(operation):
            found[str(status)] = {"$ref": f"#/components/responses/{problem_name(status)}"}
        return found

    def _typed_job(self, function: Function) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": self._typed[function.type].job}
        input = self._inputs[function.type]
        if input is not None:
            content["example"] = msgspec.json.decode(msgspec.json.encode(job_of(function, input)))
        return content

    def _parameters(self, operation: Operation) -> list[dict[str, Any]]:
        found = [_in_path(part[1:-1], operation) for part in operation.path.split("/") if part[:1] == "{"]
        found = [one for one in found if one["name"] != "type"]
        if operation.query is not None:
            schema = self._schemas.resolved(self._schemas.of(operation.query))
            found += [_in_query(name, one) for name, one in schema["properties"].items()]
        if operation.query is ListQuery:
            found.append(LABELS)
        found += [{"name": name, "in": "header", **REQUEST_HEADERS[name]} for name in operation.headers]
        return found


LABELS: Final = {
    "name": "labels",
    "in": "query",
    "description": "Only jobs with these labels, as `label.<name>=<value>`.",
    "style": "form",
    "explode": True,
    "schema": {
        "type": "object",
        "patternProperties": {r"^label\.[A-Za-z0-9_.-]{1,64}$": {"type": "string"}},
        "additionalProperties": False,
        "maxProperties": 32,
    },
}


def _in_path(name: str, operation: Operation) -> dict[str, Any]:
    schema: Schema = {"type": "string", "pattern": NAME_PATTERN}
    found = {"name": name, "in": "path", "required": True, "schema": schema}
    if operation.path.startswith("/status-job"):
        # The original answers to whatever is no id, too.
        found |= {"schema": {"type": "string"}, "example": ID}
    elif name == "id" and "deliveries" not in operation.path:
        found |= {"schema": {"type": "string", "format": "uuid"}, "example": ID}
    return found


def _in_query(name: str, schema: Schema) -> dict[str, Any]:
    """A parameter cannot be null; it is left out instead."""
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    given = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    if "default" in schema and schema["default"] is not None:
        given["default"] = schema["default"]
    if len(options) == 1:
        given |= options[0]
    if None in given.get("enum", ()):
        given["enum"] = [value for value in given["enum"] if value is not None]
    description = given.pop("description", "")
    return {"name": name, "in": "query", "description": description, "schema": given}
