"""What one group of callers becomes: few commands, one trip.

All changes go into one call of ``apply``, all new jobs into one of ``submit``, all beats into one of ``report``; claims
follow, each on its own, then the rest, and reads come last, so that they see what the group wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from async_job.errors import StoreBroken, UsageError
from async_job.store.group_commit import Request
from async_job.store.protocol import BATCH
from async_job.store.redis.link import Command
from async_job.store.redis.record import Field

Draft = list[Field]
"""An item as a script takes it; the job's id is the first."""


class Batch:
    """Items of one or more requests that go in one command. ``read`` finds an item's answer in the reply; ``answered``
    holds what other batches have found for a request that they share."""

    def __init__(self, read: Callable[[Any, Any], Any], answered: dict[int, list[Any]]) -> None:
        self._read = read
        self._answered = answered
        self._shares: list[tuple[Request, Sequence[Any]]] = []
        self.drafts: dict[Field, Draft] = {}

    def take(self, request: Request, items: Sequence[Any], drafts: Sequence[Draft]) -> int:
        """Takes the first of these items, and tells how many. No job comes twice in one batch, for a script looks at
        all before it writes."""
        taken = 0
        for draft in drafts[: BATCH - len(self.drafts)]:
            if draft[0] in self.drafts:
                break
            self.drafts[draft[0]] = draft
            taken += 1
        if taken:
            self._shares.append((request, items[:taken]))
        return taken

    def settle(self, reply: list[Any]) -> None:
        replies = iter(reply)
        for request, items in self._shares:
            answers = self._answered.setdefault(id(request), [])
            answers += map(self._read, items, islice(replies, len(items)))
            if len(answers) == len(request.argument):
                request.answer(answers)

    def fail(self, error: BaseException) -> None:
        for request, _ in self._shares:
            request.fail(error)


def merge(
    requests: Iterable[Request], draft: Callable[[Any], Draft], read: Callable[[Any, Any], Any]
) -> Iterator[Batch]:
    """The items of all requests in as few batches as may be."""
    answered: dict[int, list[Any]] = {}
    batch = Batch(read, answered)
    for request in requests:
        items, drafts = request.argument, _drafts(request, draft)
        taken = 0
        while taken < len(drafts):
            more = batch.take(request, items[taken:], drafts[taken:])
            taken += more
            if not more:
                yield batch
                batch = Batch(read, answered)
    if batch.drafts:
        yield batch


def _drafts(request: Request, draft: Callable[[Any], Draft]) -> list[Draft]:
    """The request's items; none if one cannot be written, which fails its own caller and nobody else."""
    try:
        return [draft(item) for item in request.argument]
    except UnicodeEncodeError as error:
        request.fail(UsageError(f"only Unicode text can be stored, without half surrogate pairs ({error})"))
        return []


def single(request: Request) -> Command:
    """A request that is a command of its own: its argument is the command and what reads the reply."""
    arguments, read = request.argument
    return Command(arguments, lambda reply: request.answer(read(reply)), request.fail)


def each(request: Request, commands: Sequence[tuple[Field, ...]], read: Callable[[Any, Any], Any]) -> Iterator[Command]:
    """A request of several reads, one an item, that are answered together. Something else under a job's name is no
    job, so a read that the server refuses is one of nothing."""
    answers: list[Any] = []

    def settler(item: Any) -> Callable[[Any], None]:
        def settle(reply: Any) -> None:
            answers.append(read(item, reply))
            if len(answers) == len(commands):
                request.answer(answers)

        return settle

    def failer(settle: Callable[[Any], None]) -> Callable[[BaseException], None]:
        return lambda error: settle([]) if isinstance(error, StoreBroken) else request.fail(error)

    for item, command in zip(request.argument, commands, strict=True):
        settle = settler(item)
        yield Command(command, settle, failer(settle))
