"""How the waits of a client share the server: some are long polls, and the others ask now and then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST_HELD: Final = 200
"""Waits of a client that are long polls at the same time. Each takes a connection, which is an open file here and one
of those that the server takes; a process may often open no more than 1,024 files, or 256."""
ASKED_A_SECOND: Final = 200
"""How often the waits that are no long polls ask, all together."""
SHORTEST_PAUSE: Final = 0.1
"""Seconds between two questions of a wait."""


class Waits:
    """The waits that are under way, of several threads maybe: each change of a set is one step."""

    def __init__(self) -> None:
        self._all: set[object] = set()
        self._held: set[object] = set()

    @contextmanager
    def one(self) -> Iterator[object]:
        """A wait, as long as the block lasts."""
        wait = object()
        self._all.add(wait)
        try:
            yield wait
        finally:
            self._all.discard(wait)
            self._held.discard(wait)

    def may_hold(self, wait: object) -> bool:
        """Whether the wait may be a long poll, which it may be to its end then."""
        if wait not in self._held and len(self._held) < MOST_HELD:
            self._held.add(wait)
        return wait in self._held

    @property
    def pause(self) -> float:
        """Seconds after which a wait that is no long poll asks again."""
        return max(SHORTEST_PAUSE, len(self._all) / ASKED_A_SECOND)
