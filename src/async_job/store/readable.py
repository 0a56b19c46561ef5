"""Reads of many records at once, where one that cannot be read must not hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from async_job.errors import StoreBroken

MOST_TOLD: Final = 1_000

Row = TypeVar("Row")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Readable:
    """Leaves out what cannot be read: it stays as the store has it, for this version cannot say what shall become of
    it. The log has each message about it once, because what is due is looked at every second. Belongs to one thread."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def all(self, read: Callable[[Row], T | None], rows: Iterable[Row]) -> list[T]:
        """What ``read`` makes of these rows, without what is gone (``None``), and without those for which it raises
        ``StoreBroken``."""
        found = []
        for row in rows:
            try:
                one = read(row)
            except StoreBroken as error:
                self._tell(error)
            else:
                if one is not None:
                    found.append(one)
        return found

    def one(self, read: Callable[[Row], T | None], row: Row) -> T | None:
        """What ``read`` makes of this row; ``None`` where it would be left out."""
        return next(iter(self.all(read, [row])), None)

    def _tell(self, error: StoreBroken) -> None:
        message = hash(str(error))
        if message in self._told or len(self._told) == MOST_TOLD:
            return
        self._told.add(message)
        logger.error("left out: %s", error)
        if len(self._told) == MOST_TOLD:
            logger.error("%d records cannot be read; no more are named here, `async-job check` does", MOST_TOLD)
