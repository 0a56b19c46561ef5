"""The schemas of the OpenAPI document: those of our own types, and of each function's input, result and job."""

from __future__ import annotations

import inspect
import re
from copy import deepcopy
from typing import Any, Final, NamedTuple

import msgspec

from async_job.function import JobFunction
from async_job.job_view import JobView, ProgressView
from async_job.web.job_events import JobEvents, LogEvent, Reset, Snapshot, StateEvent
from async_job.web.schemas import Submission
from async_job.web.schemas_lists import WHICH_JOBS, BulkRequest

Schema = dict[str, Any]

PLACE: Final = "#/components/schemas/"
LOCAL: Final = "#/$defs/"
NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]")
NULL: Final[Schema] = {"type": "null"}
NOT_BOTH: Final[list[Schema]] = [{"properties": {"delay": NULL}}, {"properties": {"run_at": NULL}}]

EVENT_DATA: Final = {
    "snapshot": Snapshot,
    "state": StateEvent,
    "progress": ProgressView,
    "log": LogEvent,
    "result": JobView,
    "reset": Reset,
}
"""What the data of each of a job's events is; for msgspec their union is none that it could read."""

LIMITS: Final = ("minimum", "maximum", "pattern", "minLength", "maxLength", "maxProperties", "propertyNames")

PROBLEM: Final[Schema] = {
    "title": "Problem",
    "description": "A problem document (RFC 9457). `code` is for programs, `detail` for people; some codes have more "
    "members.",
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "The server's log has it, too."},
    },
    "required": ["title", "status", "code", "detail", "request_id"],
    "examples": [
        {
            "title": "Not Found",
            "status": 404,
            "code": "job_not_found",
            "detail": "job 0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10 is not known, or no longer kept",
            "request_id": "0197a3c1-60b2-7d10-9c55-0a1b2c3d4e5f",
        }
    ],
}


class FunctionSchemas(NamedTuple):
    """What a registered function takes and gives, as references; ``submission`` is the body that starts it by name."""

    input: Schema
    job: Schema
    submission: Schema


class Schemas:
    """Collects the schemas that are referred to, in ``components``."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {"Problem": PROBLEM}

    def of(self, type: Any) -> Schema:
        """The schema of one of our types, or a reference to it."""
        if type is JobEvents:
            return self._job_events()
        [schema], found = msgspec.json.schema_components([type], ref_template=PLACE + "{name}")
        self.components.update(found)
        if type is BulkRequest:
            self.components["BulkRequest"]["anyOf"] = WHICH_JOBS
        return schema

    def _job_events(self) -> Schema:
        events = [
            {
                "title": f"{name} event",
                "type": "object",
                "properties": {"id": {"type": "string"}, "event": {"const": name}, "data": self.of(data)},
                "required": ["id", "event", "data"],
            }
            for name, data in EVENT_DATA.items()
        ]
        self.components["JobEvent"] = {"title": "JobEvent", "oneOf": events}
        self.components["JobEvents"] = {
            "title": "JobEvents",
            "description": inspect.getdoc(JobEvents),
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": reference("JobEvent")},
                "next": {"type": "string"},
                "ended": {"type": "boolean"},
            },
            "required": ["items", "next", "ended"],
        }
        return reference("JobEvents")

    def of_function(self, function: JobFunction[..., Any, Any]) -> FunctionSchemas:
        type = function.type
        input = self._moved(function.input.json_schema, f"{type}.input")
        result = self._moved(function.result.json_schema, f"{type}.result")
        return FunctionSchemas(input, self._job(type, input, result), self._submission(type, input))

    def batch_entry(self) -> Schema:
        """What an entry of a batch has to be for the batch to be taken. That it can be no job is its own problem, and
        no other entry's."""
        self.of(Submission)
        entry: Schema = loosened(self.components["Submission"])
        self.components["BatchEntry"] = entry | {"title": "BatchEntry"}
        return reference("BatchEntry")

    def _moved(self, schema: Schema, name: str) -> Schema:
        """The schema under this name. What it defines gets names that begin with it: functions may use different types
        of one name."""
        definitions: dict[str, Schema] = schema.get("$defs", {})
        names = {old: name if old == name else f"{name}.{NOT_IN_NAMES.sub('_', old)}" for old in definitions}

        def move(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: move(item) for key, item in value.items() if key != "$defs"}
            if isinstance(value, list):
                return [move(item) for item in value]
            if isinstance(value, str) and value.startswith(LOCAL) and value.removeprefix(LOCAL) in names:
                # References, and the mapping of a discriminator.
                return PLACE + names[value.removeprefix(LOCAL)]
            return value

        for old, definition in definitions.items():
            self.components[names[old]] = move(definition)
        if name not in names.values():
            self.components[name] = move(schema)
        return reference(name)

    def _job(self, type: str, input: Schema, result: Schema) -> Schema:
        self.of(JobView)
        job = deepcopy(self.components["JobView"])
        job["title"] = name = f"{type}.job"
        job["properties"] |= {"type": {"const": type}, "input": input, "result": {"anyOf": [result, NULL]}}
        job["required"] = [*job["required"], "input", "result"]
        self.components[name] = job
        return reference(name)

    def _submission(self, type: str, input: Schema) -> Schema:
        self.of(Submission)
        submission = deepcopy(self.components["Submission"])
        submission["title"] = name = f"{type}.submission"
        submission["properties"] |= {"type": {"const": type}, "input": input}
        if self.resolved(input).get("required"):
            submission["required"] = ["type", "input"]
        submission["anyOf"] = NOT_BOTH
        self.components[name] = submission
        return reference(name)

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself, where it is a reference."""
        while "$ref" in schema:
            schema = self.components[schema["$ref"].removeprefix(PLACE)]
        return schema


def reference(name: str) -> Schema:
    return {"$ref": PLACE + name}


def loosened(value: Any) -> Any:
    """A schema without the limits that are not checked as the JSON is read."""
    if isinstance(value, dict):
        return {name: loosened(item) for name, item in value.items() if name not in LIMITS}
    return [loosened(item) for item in value] if isinstance(value, list) else value
