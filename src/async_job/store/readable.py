"""Reads of many records at once, where one that cannot be read must not hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from async_job.errors import StoreBroken

Row = TypeVar("Row")
T = TypeVar("T")

logger = logging.getLogger(__name__)


def readable(read: Callable[[Row], T | None], rows: Iterable[Row]) -> list[T]:
    """What ``read`` makes of these rows, without what is gone (``None``). One for which it raises ``StoreBroken`` is
    told in the log and stays as the store has it: this version cannot say what shall become of it."""
    found = []
    for row in rows:
        try:
            one = read(row)
        except StoreBroken as error:
            logger.error("left out: %s", error)  # noqa: TRY400 - the error says it all
        else:
            if one is not None:
                found.append(one)
    return found
