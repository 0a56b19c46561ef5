"""How an exception is told: bounded, and never raising itself."""

from __future__ import annotations

import asyncio
import os
import traceback
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Final

from async_job.core.job import ErrorInfo, ErrorKind
from async_job.errors import UnrecoverableError, says

LONGEST_MESSAGE: Final = 2_000
LONGEST_TRACEBACK: Final = 20_000
DEEPEST: Final = 50
"""Frames shown of a traceback: the innermost ones say where it happened."""
CALLERS: Final = (
    *(f"{Path(file).parent}{os.sep}" for file in (__file__, asyncio.__file__, futures.__file__)),
    "uvloop/",
)
"""Where the code is that calls a function: our runners, the threads and the event loops. uvloop is compiled, and its
frames name files from where it was built."""


def describe(error: BaseException, now: int) -> ErrorInfo:
    """An exception of user code, as a job keeps it. Whatever the exception does when it is looked at, this
    returns."""
    kind = type(error)
    module: object = kind.__module__
    place = f"{module}." if isinstance(module, str) and module != "builtins" else ""
    message = says(error)
    try:
        frames = _from_the_function_on(error.__traceback__)
        lines = traceback.TracebackException(kind, error, frames, limit=-DEEPEST, compact=True).format()
        trace = "".join(lines)
    except BaseException:  # noqa: BLE001 - an exception may run any code when it is shown, and end the process
        trace = "".join(traceback.format_tb(error.__traceback__, limit=-DEEPEST))
    return ErrorInfo(
        kind=ErrorKind.APPLICATION,
        message=shorten(message, LONGEST_MESSAGE),
        type=place + kind.__qualname__,
        retryable=not isinstance(error, UnrecoverableError),
        traceback=_writable(trace if len(trace) <= LONGEST_TRACEBACK else "…" + trace[-LONGEST_TRACEBACK:]),
        at=now,
    )


def _from_the_function_on(frames: TracebackType | None) -> TracebackType | None:
    """The frames without the first ones, which call the function; all of them if no other is there."""
    frame = frames
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(CALLERS):
        frame = frame.tb_next
    return frame or frames


def shorten(text: str, longest: int) -> str:
    """The text, cut with an ellipsis, and with what UTF-8 cannot hold replaced."""
    return _writable(text if len(text) <= longest else text[:longest] + "…")


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
