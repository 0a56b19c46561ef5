"""The same done to many jobs: cancel, retry or delete those that are named, or those that a query finds.

A call looks at no more than a page of jobs and says where to go on, so that one over millions is many short ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from async_job.core.job import FINISHED, Change, Job, State
from async_job.core.lifecycle import CancelRequested, Event, Retention, RetryRequested, decide
from async_job.core.query import Query
from async_job.errors import Conflict, InvalidOptions
from async_job.finding import MOST_SCANNED, find
from async_job.store.protocol import BATCH, Store

T = TypeVar("T")

MOST: Final = MOST_SCANNED
"""Jobs in one call."""
TRIES: Final = 5
"""How often a job is tried again that moved between the reading and the writing."""


class Action(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


APPLICABLE: Final = {
    Action.CANCEL: frozenset(State) - FINISHED,
    Action.RETRY: FINISHED - {State.SUCCEEDED},
    Action.DELETE: FINISHED,
}
"""The states in which it can be done."""
EVENTS: Final[dict[Action, Event]] = {Action.CANCEL: CancelRequested(), Action.RETRY: RetryRequested()}


class Outcome(Struct, frozen=True):
    """``matched``: jobs that are as asked for, in a state in which it can be done; ``changed``: to how many it was done
    (or would be, in a dry run). Not ``complete``: there may be more behind ``next_cursor``."""

    matched: int
    changed: int
    complete: bool
    next_cursor: str | None = None


class Bulk(Struct, frozen=True):
    """One action on jobs of a store. ``dry_run``: only counts."""

    store: Store
    action: Action
    retention: Retention
    dry_run: bool = False

    async def on_ids(self, ids: Sequence[str], owner: str | None = None) -> Outcome:
        """On these jobs; unknown ones, and those of another owner than ``owner``, are not matched.

        Raises:
            InvalidOptions: there are too many.
        """
        if len(ids) > MOST:
            raise InvalidOptions(f"at most {MOST} ids may be given, not {len(ids)}", "ids")
        found = [job for job in await self.store.get(list(dict.fromkeys(ids))) if job is not None]
        matched = [job for job in found if self._applies(job) and (owner is None or job.owner == owner)]
        return Outcome(len(matched), await self._do(matched), complete=True)

    async def on_query(self, query: Query, cursor: str | None = None) -> Outcome:
        """On the next ones that the query finds.

        Raises:
            InvalidOptions: the cursor cannot be.
        """
        states = APPLICABLE[self.action].intersection(query.states or State)
        if not states:
            return Outcome(0, 0, complete=True)
        wanted = replace(query, states=tuple(state for state in State if state in states))
        page = await find(self.store, wanted, cursor, MOST)
        changed = await self._do(page.jobs)
        return Outcome(len(page.jobs), changed, page.next_cursor is None, page.next_cursor)

    def _applies(self, job: Job) -> bool:
        return job.state in APPLICABLE[self.action]

    async def _do(self, jobs: Sequence[Job]) -> int:
        """To how many it was done."""
        if self.action is Action.DELETE:
            return len(jobs) if self.dry_run else await self._delete([job.id for job in jobs])
        if self.dry_run:
            return len(self._decide(jobs))
        return sum([await self._apply(batch) for batch in _batches(jobs)])

    async def _delete(self, ids: Sequence[str]) -> int:
        left = [answer for batch in _batches(ids) for answer in await self.store.delete(batch)]
        return left.count(None)

    async def _apply(self, jobs: Sequence[Job]) -> int:
        changed = 0
        for _ in range(TRIES):
            changes = self._decide(jobs)
            answers = await self.store.apply(changes)
            moved: list[Job] = []
            for change, answer in zip(changes, answers, strict=True):
                if isinstance(answer, Job) or (answer.job is not None and change.is_seen_in(answer.job)):
                    changed += 1
                elif answer.job is not None and answer.holder is None:
                    moved.append(answer.job)
            jobs = moved
            if not jobs:
                break
        return changed

    def _decide(self, jobs: Sequence[Job]) -> list[Change]:
        """What is to be written; nothing for those that are as asked already, or can no longer be."""
        return [change for job in jobs if (change := self._change(job)) is not None]

    def _change(self, job: Job) -> Change | None:
        try:
            return decide(job, EVENTS[self.action], self.store.now(), self.retention)
        except Conflict:
            return None


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
