"""What a client does, step by step, without doing it: calls and pauses, as a generator that is sent what came back."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from async_job.errors import ServerError

T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
SLACK: Final = 2.0
"""Seconds by which an answer may be late that has to come by some time: a server that is slow is not away."""
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
    """A request to send. The server may ``hold`` its answer back for so many seconds; after ``within`` seconds it is of
    no use any more."""

    method: str
    path: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: bytes | None = None
    hold: int = 0
    within: float = math.inf

    def at_once(self) -> Call:
        """The same, to be answered without holding back."""
        return replace(self, headers={name: value for name, value in self.headers.items() if name != "Prefer"}, hold=0)


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


def ask(call: Call, url: str, patience: float, until: float = math.inf) -> Steps[Reply]:
    """Sends the call, which has to be one that can be repeated, until there is a reply that a repetition would not
    change, or ``patience`` seconds are over, or it is ``until`` by the monotonic clock. When it is repeated, it is not
    held back: its time has gone on.

    Raises:
        ServerError: nothing came back.
    """
    last = min(until, time.monotonic() + patience)
    repeated = False
    failures = 0
    while True:
        within = max(0.0, until - time.monotonic()) + SLACK
        came: Reply | Lost = yield replace(call.at_once() if failures else call, within=within)
        if isinstance(came, Reply) and came.status not in BUSY:
            return Reply(came.status, came.headers, came.body, repeated)
        failures += 1
        pause = pause_after(came, failures)
        if time.monotonic() + pause > last:
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
