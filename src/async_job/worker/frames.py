"""What a worker and its child processes tell each other over a socket: JSON texts, one a line, never pickles."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from async_job.core.job import ErrorInfo, Job, Progress


class Run(Struct, frozen=True, tag=True):
    """To the child: run this job."""

    job: Job


class Cancel(Struct, frozen=True, tag=True):
    """To the child: the job that runs is to stop."""


class Ready(Struct, frozen=True, tag=True):
    """The application is imported. Jobs of the ``cancellable`` types, the ``async def``, are ended by ``Cancel``."""

    cancellable: frozenset[str]


class NotReady(Struct, frozen=True, tag=True):
    """The application cannot be imported."""

    problem: str


class News(Struct, frozen=True, tag=True):
    """What the running job has said since the last time."""

    progress: Progress | None
    lines: tuple[str, ...]


class Returned(Struct, frozen=True, tag=True):
    """The job's function has returned; ``result`` is JSON text."""

    result: bytes


class Raised(Struct, frozen=True, tag=True):
    """The job's function has raised, or what went in or came out does not fit its annotations."""

    error: ErrorInfo


ToChild = Run | Cancel
FromChild = Ready | NotReady | News | Returned | Raised
End = Returned | Raised

encode = msgspec.json.Encoder().encode
decode_in_child = msgspec.json.Decoder(ToChild).decode
decode_from_child = msgspec.json.Decoder(FromChild).decode
