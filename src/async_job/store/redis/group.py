"""What one group of callers becomes: few commands, one trip.

All changes go into one call of ``apply``, all new jobs into one of ``submit``, all beats into one of ``report``; claims
follow, each on its own, then the rest, and reads come last, so that they see what the group wrote. A record that cannot
be read fails the request that it is for, and nobody else in the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from async_job.errors import StoreBroken, UsageError
from async_job.store.group_commit import Request
from async_job.store.protocol import BATCH
from async_job.store.redis.link import Command
from async_job.store.redis.record import Field

Draft = list[Field]
"""An item as a script takes it; the job's id is the first."""


class Batch:
    """Items of one or more requests that go in one command. ``read`` finds an item's answer in the reply."""

    def __init__(self, read: Callable[[Any, Any], Any]) -> None:
        self._read = read
        self._shares: list[tuple[Request, Any]] = []
        self.drafts: dict[Field, Draft] = {}

    def take(self, request: Request, n: int, draft: Draft) -> bool:
        """Takes the request's item of this place if there is room for it. No job comes twice in one batch, for a script
        looks at all before it writes."""
        if draft[0] in self.drafts or len(self.drafts) == BATCH:
            return False
        self.drafts[draft[0]] = draft
        self._shares.append((request, request.argument[n]))
        return True

    def settle(self, reply: list[Any]) -> None:
        for (request, item), answer in zip(self._shares, reply, strict=True):
            answers = request.answers
            try:
                answers.append(self._read(item, answer))
            except StoreBroken as error:
                # It can no longer have all its answers; the others do.
                request.fail(error)
            if len(answers) == len(request.argument):
                request.answer(answers)

    def fail(self, error: BaseException) -> None:
        for request, _ in self._shares:
            request.fail(error)


def merge(
    requests: Iterable[Request], draft: Callable[[Any], Draft], read: Callable[[Any, Any], Any]
) -> Iterator[Batch]:
    """The items of all requests in as few batches as may be."""
    batch = Batch(read)
    for request in requests:
        try:
            drafts = [draft(item) for item in request.argument]
        except UnicodeEncodeError as error:
            # None of this request's items is written, and nobody else fails.
            request.fail(UsageError(f"only Unicode text can be stored, without half surrogate pairs ({error})"))
            continue
        for n, drafted in enumerate(drafts):
            if not batch.take(request, n, drafted):
                yield batch
                batch = Batch(read)
                batch.take(request, n, drafted)
    if batch.drafts:
        yield batch


def single(request: Request) -> Command:
    """A request that is a command of its own: its argument is the command and what reads the reply."""
    arguments, read = request.argument

    def settle(reply: Any) -> None:
        try:
            request.answer(read(reply))
        except StoreBroken as error:
            request.fail(error)

    return Command(arguments, settle, request.fail)


def each(request: Request, commands: Sequence[tuple[Field, ...]], read: Callable[[Any, Any], Any]) -> Iterator[Command]:
    """A request of several reads, one an item, that are answered together. Something else under a job's name is no
    job, so a read that the server refuses is one of nothing."""
    answers: list[Any] = []

    def settler(item: Any) -> Callable[[Any], None]:
        def settle(reply: Any) -> None:
            try:
                answers.append(read(item, reply))
            except StoreBroken as error:
                request.fail(error)
            if len(answers) == len(commands):
                request.answer(answers)

        return settle

    def failer(settle: Callable[[Any], None]) -> Callable[[BaseException], None]:
        return lambda error: settle([]) if isinstance(error, StoreBroken) else request.fail(error)

    for item, command in zip(request.argument, commands, strict=True):
        settle = settler(item)
        yield Command(command, settle, failer(settle))
