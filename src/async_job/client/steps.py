"""What a client does, step by step, without doing it: calls and pauses, as a generator that is sent what came back."""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar

from msgspec import Struct

from async_job.errors import ServerError

T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
BUSY: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Answers of a server, or of a proxy before it, that may be others in a moment."""


class Call(Struct, frozen=True):
    """A request to send. The server may ``hold`` its answer back for so many seconds."""

    method: str
    path: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: bytes | None = None
    hold: int = 0


class Pause(Struct, frozen=True):
    """Seconds in which there is nothing to do."""

    seconds: float


class Reply(Struct, frozen=True):
    """What came back. ``repeated``: the call was sent before, and the server may have acted on it then."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    repeated: bool = False

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class Lost(Struct, frozen=True):
    """Nothing came back. ``sent``: the server may have acted on it all the same."""

    why: str
    sent: bool


Steps: TypeAlias = Generator[Call | Pause, Any, T]
"""``Reply | Lost`` is sent back for a call and ``None`` for a pause; returns the answer."""


def ask(call: Call, url: str, patience: float) -> Steps[Reply]:
    """Sends the call, which has to be one that can be repeated, until there is a reply that a repetition would not
    change, or ``patience`` seconds are over.

    Raises:
        ServerError: nothing came back.
    """
    until = time.monotonic() + patience
    repeated = False
    failures = 0
    while True:
        came: Reply | Lost = yield call
        if isinstance(came, Reply) and came.status not in BUSY:
            return Reply(came.status, came.headers, came.body, repeated)
        failures += 1
        pause = pause_after(came, failures)
        if time.monotonic() + pause > until:
            break
        # Too many requests are turned away unread; who knows with the others.
        repeated = repeated or (came.sent if isinstance(came, Lost) else came.status != HTTPStatus.TOO_MANY_REQUESTS)
        yield Pause(pause)
    if isinstance(came, Reply):
        return came
    raise nobody(url, came)


def nobody(url: str, came: Lost) -> ServerError:
    """The error when nothing comes back."""
    return ServerError(
        f"no server answers at {url} ({came.why}); start one by `async-job serve`, or name another by its URL"
    )


def pause_after(came: Reply | Lost, failures: int) -> float:
    """Longer and longer, and never the same for many clients; what the server says counts before that."""
    asked = came.headers.get("Retry-After", "") if isinstance(came, Reply) else ""
    least = float(asked) if asked.isdigit() else 0.0
    backoff = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
    return least + backoff * random.uniform(0.5, 1.0)
