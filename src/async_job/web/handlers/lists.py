"""The handlers of many jobs: lists, and the same done to many."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace
from starlette.types import Receive, Scope

from async_job.bulk import Action, Bulk, Outcome
from async_job.core.job import Job, State
from async_job.core.query import Query
from async_job.errors import InvalidOptions
from async_job.job_view import JobView, view_job
from async_job.jobs import Jobs
from async_job.web.answer import Answer, Headers, json_answer
from async_job.web.body import decode, read_json
from async_job.web.caller import confined_to
from async_job.web.problems import Problem
from async_job.web.schemas_lists import BulkRequest, JobList, ListQuery, query_of

Q = TypeVar("Q", bound=Struct)

USUAL_LIMIT: Final = 50
MOST_IN_FULL: Final = 20
LABEL: Final = "label."
DATE: Final = re.compile(r"\d{4}-")
"""How times begin."""

decode_bulk = msgspec.json.Decoder(BulkRequest).decode


class Lists:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def find(self, scope: Scope, receive: Receive) -> Answer:
        """A page of jobs, newest first unless ``sort=oldest``."""
        pairs = query_pairs(scope)
        labels = {name.removeprefix(LABEL): value for name, value in pairs if name.startswith(LABEL)}
        asked = convert_query([pair for pair in pairs if not pair[0].startswith(LABEL)], ListQuery)
        full = asked.view == "full"
        limit = asked.limit or (MOST_IN_FULL if full else USUAL_LIMIT)
        if full and limit > MOST_IN_FULL:
            raise InvalidOptions(f"limit may be at most {MOST_IN_FULL} with view=full, not {limit}", "limit")
        query = query_of(asked, _states(asked.state), labels, confined_to(scope), asked.sort == "newest")
        page = await self._jobs.find(query, cursor=asked.cursor, limit=limit)
        items = [_view(job, scope["root_path"], full) for job in page.jobs]
        headers: Headers = []
        if page.next_cursor is not None:
            again = [(name, value) for name, value in pairs if name != "cursor"]
            there = f"{scope['root_path']}/v1/jobs?{urlencode([*again, ('cursor', page.next_cursor)])}"
            headers.append((b"link", f'<{there}>; rel="next"'.encode()))
        return json_answer(JobList(items, page.next_cursor, page.complete), 200, headers)

    async def cancel(self, scope: Scope, receive: Receive) -> Answer:
        """Cancels jobs by ids or by a filter, up to 1,000 a call."""
        return await self._bulk(Action.CANCEL, scope, receive)

    async def retry(self, scope: Scope, receive: Receive) -> Answer:
        """Runs failed, cancelled and expired jobs again, by ids or by a filter, up to 1,000 a call."""
        return await self._bulk(Action.RETRY, scope, receive)

    async def delete(self, scope: Scope, receive: Receive) -> Answer:
        """Removes ended jobs by ids or by a filter, up to 1,000 a call."""
        return await self._bulk(Action.DELETE, scope, receive)

    async def _bulk(self, action: Action, scope: Scope, receive: Receive) -> Answer:
        settings = self._jobs.settings
        asked = decode(decode_bulk, await read_json(scope, receive, settings.max_body, settings.body_deadline))
        bulk = Bulk(await self._jobs.store(), action, self._jobs.retention, asked.dry_run)
        owner = confined_to(scope)
        outcome: Outcome
        if asked.ids is not None:
            if asked.filter is not None or asked.all or asked.cursor is not None:
                raise InvalidOptions("give ids, or a filter with its cursor, not both", "ids")
            outcome = await bulk.on_ids([id.lower() for id in asked.ids], owner)
        else:
            outcome = await bulk.on_query(_filtered(asked, owner), asked.cursor)
        return json_answer(outcome)


def _filtered(asked: BulkRequest, owner: str | None) -> Query:
    if asked.filter is None and not asked.all:
        raise InvalidOptions('give ids, a filter, or "all": true', "filter")
    if asked.filter is None:
        return Query(owner=owner)
    query = query_of(asked.filter, tuple(asked.filter.state), asked.filter.labels, None)
    if query.is_empty and not asked.all:
        raise InvalidOptions('an empty filter means all jobs; say "all": true if that is meant', "filter")
    return replace(query, owner=owner)


def _view(job: Job, root: str, full: bool) -> JobView:
    view = view_job(job, root)
    return view if full else replace(view, input=UNSET, result=UNSET)


def _states(text: str | None) -> tuple[State, ...]:
    if text is None:
        return ()
    try:
        return tuple(dict.fromkeys(State(word.strip()) for word in text.split(",")))
    except ValueError as error:
        raise InvalidOptions(
            f"state: {text[:80]!r} must be states separated by commas, out of {', '.join(State)}", "state"
        ) from error


def query_pairs(scope: Scope) -> list[tuple[str, str]]:
    """The parameters of the query, in order. Raises a problem if there are too many."""
    try:
        return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise Problem(422, "invalid_request", "the query has more than 100 parameters") from error


def convert_query(pairs: list[tuple[str, str]], type: type[Q]) -> Q:
    """The parameters as the struct says. Raises a problem when they do not fit, or one is given twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Problem(422, "invalid_request", "a parameter is given more than once")
    try:
        converted = msgspec.convert(values, type, strict=False)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise Problem(422, "invalid_request", reason, at=path.rstrip("`")) from error
    for name, value in values.items():
        # msgspec takes the word null for none at all, and numbers for times.
        found = getattr(converted, name, UNSET)
        if found is None or (isinstance(found, datetime) and not DATE.match(value)):
            raise Problem(422, "invalid_request", f"{value[:80]!r} is no value for this parameter", at=f"$.{name}")
    return converted
