"""The JSON of lists and of what is done to many jobs at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from async_job.core.job import State
from async_job.core.query import Query
from async_job.job_view import JobView
from async_job.web.schemas import Submission

MOST_AT_ONCE = 1_000

STATES = r"^\s*({0})\s*(,\s*({0})\s*)*$".format("|".join(State))
Moment = Annotated[datetime, Meta(tz=True)]


class ListQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of ``GET /v1/jobs``; beside them ``label.<name>=<value>``, any number of times. ``state`` holds
    states separated by commas. Times are RFC 3339, and left out themselves."""

    state: Annotated[str, Meta(extra_json_schema={"pattern": STATES})] | None = None
    type: str | None = None
    queue: str | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    finished_after: Moment | None = None
    finished_before: Moment | None = None
    sort: Literal["newest", "oldest"] = "newest"
    limit: Annotated[int, Meta(ge=1, le=200)] | None = None
    cursor: str | None = None
    view: Literal["full"] | None = None


class JobList(Struct, frozen=True):
    """A page. Without ``next_cursor`` it is the last. Not ``complete``: the search stopped before the page was full,
    and there may be more behind the cursor. ``input`` and ``result`` are there in the full view only."""

    items: list[JobView]
    next_cursor: str | None
    complete: bool


class Filter(Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs; what is left out does not matter."""

    state: list[State] = []
    type: str | None = None
    queue: str | None = None
    labels: dict[str, str] = {}
    created_after: Moment | None = None
    created_before: Moment | None = None
    finished_after: Moment | None = None
    finished_before: Moment | None = None


class BulkRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Either ``ids``, or a ``filter`` (an empty one only with ``all``) and the ``cursor`` of the call before."""

    ids: Annotated[list[str], Meta(max_length=MOST_AT_ONCE)] | None = None
    filter: Filter | None = None
    all: bool = False
    dry_run: bool = False
    cursor: str | None = None


def _some(name: str) -> dict[str, Any]:
    """The schema of a filter that asks for this."""
    least: dict[str, Any] = {"state": {"minItems": 1}, "labels": {"minProperties": 1}}
    return {"type": "object", "required": [name], "properties": {name: least.get(name, {"type": "string"})}}


NONE: Final = {"type": "null"}
WHICH_JOBS: Final[list[dict[str, Any]]] = [
    {
        "required": ["ids"],
        "properties": {"ids": {"type": "array"}, "filter": NONE, "all": {"const": False}, "cursor": NONE},
    },
    {"required": ["all"], "properties": {"ids": NONE, "all": {"const": True}}},
    {
        "required": ["filter"],
        "properties": {"ids": NONE, "filter": {"anyOf": [_some(name) for name in Filter.__struct_fields__]}},
    },
]
"""What a bulk request has to be besides, as alternatives of a JSON Schema; ``handlers.lists`` checks it."""


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    jobs: Annotated[list[Submission], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class BatchItem(Struct, frozen=True):
    """What became of one entry: the ``job``, or the ``problem`` document that it would have got alone."""

    status: int
    job: JobView | UnsetType = UNSET
    problem: dict[str, Any] | UnsetType = UNSET


class BatchAnswer(Struct, frozen=True):
    items: list[BatchItem]


def query_of(
    asked: ListQuery | Filter, states: tuple[State, ...], labels: dict[str, str], owner: str | None, newest: bool = True
) -> Query:
    return Query(
        states=states,
        type=asked.type,
        queue=asked.queue,
        owner=owner,
        labels=labels,
        created_after=_milliseconds(asked.created_after),
        created_before=_milliseconds(asked.created_before),
        finished_after=_milliseconds(asked.finished_after),
        finished_before=_milliseconds(asked.finished_before),
        newest=newest,
    )


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
