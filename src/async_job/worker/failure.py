"""How an exception is told: bounded, and never raising itself."""

from __future__ import annotations

import traceback
from typing import Final

from async_job.core.job import ErrorInfo, ErrorKind

LONGEST_MESSAGE: Final = 2_000
LONGEST_TRACEBACK: Final = 20_000
DEEPEST: Final = 50
"""Frames shown of a traceback: the innermost ones say where it happened."""


def describe(error: BaseException, now: int) -> ErrorInfo:
    """An exception of user code, as a job keeps it. Whatever the exception does when it is looked at, this
    returns."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
        lines = traceback.TracebackException.from_exception(error, limit=-DEEPEST, compact=True).format()
        trace = "".join(lines)
    except Exception as broken:  # noqa: BLE001 - an exception may run any code when it is shown
        message = f"(the exception cannot be shown: {type(broken).__qualname__})"
        trace = "".join(traceback.format_tb(error.__traceback__, limit=-DEEPEST))
    return ErrorInfo(
        kind=ErrorKind.APPLICATION,
        message=shorten(message, LONGEST_MESSAGE),
        type=name,
        retryable=True,
        traceback=_writable(trace if len(trace) <= LONGEST_TRACEBACK else "…" + trace[-LONGEST_TRACEBACK:]),
        at=now,
    )


def shorten(text: str, longest: int) -> str:
    """The text, cut with an ellipsis, and with what UTF-8 cannot hold replaced."""
    return _writable(text if len(text) <= longest else text[:longest] + "…")


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
