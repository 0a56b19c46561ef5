"""What one group of callers becomes: few commands, one trip.

All changes go into one call of ``apply``, all new jobs into one of ``submit``, all beats into one of ``report``; claims
follow, each on its own, then the rest, and reads come last, so that they see what the group wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from async_job.core.job import Change
from async_job.errors import StoreBroken, UsageError
from async_job.store.group_commit import Request
from async_job.store.protocol import BATCH
from async_job.store.redis.link import Command
from async_job.store.redis.record import Field

Pieces = list[tuple[Request, Any, Any]]
"""Each a caller's request, one of its items, and the item as it is written."""


def merge(
    requests: Iterable[Request],
    draft: Callable[[Any], Any],
    build: Callable[[list[Any]], tuple[Field, ...]],
    read: Callable[[list[Any], Any], Sequence[Any]],
) -> Iterator[Command]:
    """The items of all requests in as few commands as may be. ``draft`` makes of an item what is written, ``build`` a
    command of many, and ``read`` finds in its reply one answer for each."""
    answered: dict[int, list[Any]] = {}
    for batch in _batches(_drafted(requests, draft)):
        items = [item for _, item, _ in batch]
        yield Command(
            build([drafted for _, _, drafted in batch]), _settler(batch, items, read, answered), _failer(batch)
        )


def _drafted(requests: Iterable[Request], draft: Callable[[Any], Any]) -> Pieces:
    """What cannot be written fails its own caller and nobody else."""
    pieces: Pieces = []
    for request in requests:
        try:
            pieces += [(request, item, draft(item)) for item in request.argument]
        except UnicodeEncodeError as error:
            request.fail(UsageError(f"only Unicode text can be stored, without half surrogate pairs ({error})"))
    return pieces


def _batches(pieces: Pieces) -> Iterator[Pieces]:
    """At most ``BATCH`` at once, and no job changed twice in one: a script looks at all before it writes."""
    batch: Pieces = []
    changed: set[str] = set()
    for piece in pieces:
        item = piece[1]
        again = isinstance(item, Change) and item.job.id in changed
        if again or len(batch) == BATCH:
            yield batch
            batch, changed = [], set()
        batch.append(piece)
        if isinstance(item, Change):
            changed.add(item.job.id)
    if batch:
        yield batch


def _settler(
    batch: Pieces, items: list[Any], read: Callable[[list[Any], Any], Sequence[Any]], answered: dict[int, list[Any]]
) -> Callable[[Any], None]:
    def settle(reply: Any) -> None:
        for (request, _, _), answer in zip(batch, read(items, reply), strict=True):
            answers = answered.setdefault(id(request), [])
            answers.append(answer)
            if len(answers) == len(request.argument):
                request.answer(answers)

    return settle


def _failer(batch: Pieces) -> Callable[[BaseException], None]:
    def fail(error: BaseException) -> None:
        for request, _, _ in batch:
            request.fail(error)

    return fail


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
