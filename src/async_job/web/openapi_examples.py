"""Examples for the OpenAPI document. None is written by hand that could be wrong: jobs come from the functions' own
defaults, and inputs are shown only if the function takes them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from async_job.core.submission import NO_OPTIONS, new_job
from async_job.errors import InvalidInput
from async_job.function import JobFunction
from async_job.job_view import JobView, view_job
from async_job.web.openapi_schemas import Schema, Schemas

ID: Final = "0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10"
AT: Final = 1_769_846_400_000
"""Milliseconds: 2026-01-31T08:00:00Z."""
DEEPEST: Final = 8
PLAIN: Final[dict[str, Any]] = {"integer": 1, "number": 1.5, "string": "text", "boolean": True, "array": []}


def input_of(function: JobFunction[..., Any, Any], schema: Schema, schemas: Schemas) -> dict[str, Any] | None:
    """An input that the function takes; ``None``: none was found."""
    made = sample(schema, schemas)
    try:
        function.input.decode(msgspec.json.encode(made))
    except InvalidInput:
        return None
    return made if isinstance(made, dict) else None


def job_of(function: JobFunction[..., Any, Any], input: dict[str, Any]) -> JobView:
    """How a job of the function looks that was just started."""
    return view_job(new_job(ID, function.defaults, msgspec.json.encode(input), NO_OPTIONS, AT), "")


def sample(schema: Schema, schemas: Schemas, depth: int = 0) -> Any:
    """Something that the schema allows, as far as it can be told from the schema's own words."""
    schema = schemas.resolved(schema)
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    for word in ("default", "const", "example"):
        if word in schema:
            return schema[word]
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return sample(schema[word][0], schemas, depth + 1) if depth < DEEPEST else None
    type = schema.get("type")
    if type == "object" and depth < DEEPEST:
        properties: dict[str, Schema] = schema.get("properties", {})
        return {name: sample(properties.get(name, {}), schemas, depth + 1) for name in _shown(schema)}
    if type == "array" and schema.get("minItems") and depth < DEEPEST:
        return [sample(schema.get("items", {}), schemas, depth + 1)] * schema["minItems"]
    if type in ("integer", "number"):
        return max(schema.get("minimum", 1), min(1, schema.get("maximum", 1)))
    return PLAIN.get(str(type))


def _shown(schema: Schema) -> list[str]:
    """The members that an example shows: those that must be there, or else those with a plain default."""
    defaults = [name for name, one in schema.get("properties", {}).items() if one.get("default") is not None]
    return [*schema.get("required", ()), *(name for name in defaults if name not in schema.get("required", ()))]
