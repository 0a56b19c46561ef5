"""``key=value`` on the command line, read by the job's schema, and the options of jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from async_job.core.job import State
from async_job.core.query import Query
from async_job.core.submission import Options, check
from async_job.errors import InvalidInput, InvalidOptions

UNREADABLE = object()


def read_input(pairs: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    """The input that the pairs describe: ``key=value`` by what the schema says of ``key``, ``key:=json`` as JSON.

    Raises:
        InvalidInput: a pair cannot be read. Whether all of it fits is for whoever takes the job to say.
    """
    schema = _resolved(schema, schema)
    properties: dict[str, Any] = schema.get("properties", {})
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        as_json = key.endswith(":")
        key = key.removesuffix(":")
        if not equals or not key:
            raise InvalidInput(f"{pair!r} is no input; write key=value, or key:=json")
        if key in values:
            raise InvalidInput(f"{key} is given twice")
        if key not in properties and schema.get("additionalProperties") is False:
            raise InvalidInput(f"the job takes no {key}; it takes {', '.join(properties) or 'nothing'}")
        values[key] = _from_json(key, text) if as_json else _from_text(key, text, properties.get(key, {}), schema)
    missing = [key for key in schema.get("required", ()) if key not in values]
    if missing:
        raise InvalidInput(f"the job needs {', '.join(missing)}; it takes {', '.join(properties)}")
    return values


def read_options(given: Mapping[str, object], labels: Sequence[str]) -> Options:
    """The options of a job; ``None`` stands for one that was left out. A label is ``name=value``.

    Raises:
        InvalidOptions: one has a value that cannot be.
    """
    named = {name: value for name, value in given.items() if value is not None}
    options = msgspec.convert({**named, "labels": _read_labels(labels)}, Options)
    check(options)
    return options


def read_query(states: str | None, type: str | None, queue: str | None, labels: Sequence[str]) -> Query:
    """Which jobs to list; ``states`` has commas between them.

    Raises:
        InvalidOptions: there is no such state, or a label is none.
    """
    known = {str(state): state for state in State}
    words = [word.strip() for word in states.split(",")] if states else []
    for word in words:
        if word not in known:
            raise InvalidOptions(f"{word!r} is no state; there are {', '.join(known)}", "state")
    wanted = tuple(dict.fromkeys(known[word] for word in words))
    return Query(states=wanted, type=type, queue=queue, labels=_read_labels(labels))


def _read_labels(labels: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for label in labels:
        name, equals, value = label.partition("=")
        if not equals:
            raise InvalidOptions(f"{label!r} is no label; write --label name=value", "labels")
        if name in values:
            raise InvalidOptions(f"label {name} is given twice", "labels")
        values[name] = value
    return values


def _from_json(key: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(
            f"{key}:={text} is no JSON ({error}); quote it for the shell, as in {key}:='[1, 2]'"
        ) from error


def _from_text(key: str, text: str, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """The first reading that one of the schema's types allows, the narrower types first."""
    types = list(_types(schema, root))
    for type, read in READINGS:
        if (type in types or not types) and (value := read(text)) is not UNREADABLE:
            return value
    raise InvalidInput(f"{key} is {text!r}, and has to be {' or '.join(_NAMES.get(type, type) for type in types)}")


def _types(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    """The JSON types that a schema allows; none: any."""
    schema = _resolved(schema, root)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _types(part, root)
    named = schema.get("type", [])
    yield from [named] if isinstance(named, str) else named
    for value in (*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())):
        yield _TYPE_OF.get(type(value), "number")


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for. The definitions stay at hand, for the references in it."""
    reference = schema.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return schema
    name = reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
    definitions: dict[str, Any] = root.get("$defs", {})
    return {**_resolved(definitions.get(name, {}), root), "$defs": definitions}


def _null(text: str) -> Any:
    return None if text in ("", "null") else UNREADABLE


def _json_of(*types: type) -> Any:
    def read(text: str) -> Any:
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return UNREADABLE
        return value if type(value) in types else UNREADABLE

    return read


READINGS = (
    ("boolean", _json_of(bool)),
    ("integer", _json_of(int)),
    ("number", _json_of(int, float)),
    ("array", _json_of(list)),
    ("object", _json_of(dict)),
    ("string", str),
    ("null", _null),
)
"""How each JSON type is read from text, the narrower before the wider. Where text is allowed, ``null`` is text."""

_TYPE_OF: dict[type, str] = {str: "string", bool: "boolean", int: "integer", type(None): "null"}

_NAMES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a JSON array",
    "object": "a JSON object",
    "null": "null",
}
