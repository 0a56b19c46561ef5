"""Which jobs a list asks for."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from async_job.core.job import FINISHED, Job, State
from async_job.errors import InvalidOptions

MOST_LISTED: Final = 200


class Query(Struct, frozen=True, kw_only=True):
    """What jobs have to be like; what is left out does not matter. Times are milliseconds, ``after`` and ``before``
    themselves are left out. ``newest`` says from which end of each state's order the list begins."""

    states: tuple[State, ...] = ()
    type: str | None = None
    queue: str | None = None
    owner: str | None = None
    labels: dict[str, str] = {}
    created_after: int | None = None
    created_before: int | None = None
    finished_after: int | None = None
    finished_before: int | None = None
    newest: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether every job fits."""
        return self == Query(newest=self.newest)

    def fits(self, job: Job) -> bool:
        """Whether the job is as asked for."""
        return (
            (not self.states or job.state in self.states)
            and (self.type is None or job.type == self.type)
            and (self.queue is None or job.queue == self.queue)
            and (self.owner is None or job.owner == self.owner)
            and _within(job.created_at, self.created_after, self.created_before)
            and _within(job.finished_at, self.finished_after, self.finished_before)
            and all(job.labels.get(name) == value for name, value in self.labels.items())
        )

    def wanted_states(self) -> tuple[State, ...]:
        """The states in which a job can fit."""
        asks_for_end = self.finished_after is not None or self.finished_before is not None
        return tuple(
            state
            for state in State
            if (not self.states or state in self.states) and (state in FINISHED or not asks_for_end)
        )


def as_query(given: object) -> Query:
    """What a caller gave as a query: ``None`` asks for all jobs. Raises ``InvalidOptions``."""
    if given is None:
        return Query()
    if isinstance(given, Query):
        return given
    says = f"query has to be async_job.Query, as in Query(type='resize'), not of type {type(given).__name__}"
    raise InvalidOptions(says, "query")


def check_limit(limit: int, most: int = MOST_LISTED) -> None:
    """Raises ``InvalidOptions`` unless a page of that size may be asked for."""
    if not 1 <= limit <= most:
        raise InvalidOptions(f"limit must be from 1 to {most}, not {limit}", "limit")


def _within(moment: int | None, after: int | None, before: int | None) -> bool:
    if after is None and before is None:
        return True
    return moment is not None and (after is None or moment > after) and (before is None or moment < before)
