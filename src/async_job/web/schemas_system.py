"""The JSON of what tells of the system itself."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from async_job.function import JobFunction
from async_job.store.protocol import Health


class Live(Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True, kw_only=True):
    status: Literal["ready"] = "ready"
    store: Health


class JobType(Struct, frozen=True):
    """A registered function, with the JSON Schema of what it takes and gives."""

    type: str
    description: str
    queue: str
    runner: Literal["async", "thread", "process"]
    max_attempts: int
    max_crashes: int
    timeout: float | None
    default: bool
    input_schema: dict[str, Any]
    result_schema: dict[str, Any]


class JobTypes(Struct, frozen=True):
    items: list[JobType] = field(default_factory=list)


def view_type(function: JobFunction[..., Any, Any], default: bool) -> JobType:
    defaults = function.defaults
    return JobType(
        type=defaults.type,
        description=function.description,
        queue=defaults.queue,
        runner=function.runner,
        max_attempts=defaults.max_attempts,
        max_crashes=defaults.max_crashes,
        timeout=defaults.timeout,
        default=default,
        input_schema=function.input.json_schema,
        result_schema=function.result.json_schema,
    )
