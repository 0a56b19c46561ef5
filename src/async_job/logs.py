"""The log of our own processes: one set-up for structlog and for the standard library's ``logging``.

Lines for people on a terminal, JSON otherwise. What users and clients say may stand in a line, so control characters
are escaped: nothing that is logged moves a cursor or forges a second line. API keys and tickets are blotted out,
wherever in a line they stand.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TextIO

from async_job.escaping import escape, escape_but_lines
from async_job.settings import MASK, Settings

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

SECRET: Final = re.compile("(ajt?_[0-9a-z]+_)[0-9A-Za-z_]{20,}")
MANY_LINES: Final = ("exception", "stack")
"""What has line ends of its own: tracebacks."""
CHATTY: Final = ("uvicorn", "httpx", "asyncio")
"""These tell of every start and stop what our own lines tell already."""


def _import_structlog() -> Any:
    """structlog imports rich where that is installed, for tracebacks that we do not show. In the children of a
    supervisor, which are many and have no terminal, it is not let have it."""
    if "ASYNC_JOB_CHILD" not in os.environ or "rich" in sys.modules:
        return import_module("structlog")
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        return import_module("structlog")
    finally:
        del sys.modules["rich"]


structlog: Final = _import_structlog()


def get_logger() -> Any:
    """A structured logger: ``log.warning("what happened", job=id)``."""
    return structlog.get_logger()


def traceback_of(error: BaseException) -> str:
    """For ``log.error("what failed", exception=traceback_of(error))``: without keys and local variables however the log
    is set up. Where nobody has done that, structlog shows with ``exc_info`` the values of all local variables."""
    return _without_secrets("".join(traceback.format_exception(error)).rstrip())


def configure(settings: Settings, stream: TextIO = sys.stderr) -> None:
    """Sets up all logging of this process. For programs; a library's user does as he likes."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    before: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, *_rendering(settings, stream)]
    structlog.configure(
        processors=[*before, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    formatter = structlog.stdlib.ProcessorFormatter
    handler.setFormatter(formatter(foreign_pre_chain=before, processors=[formatter.remove_processors_meta, *last]))
    logging.root.handlers = [handler]
    logging.root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _rendering(settings: Settings, stream: TextIO) -> list[Processor]:
    if settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty()):
        return [_to_json, _blot_out]
    colors = stream.isatty() and not os.environ.get("NO_COLOR")
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [_escape, console, _blot_out]


def _to_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """ASCII alone, so that it holds no control character but the line's end."""
    return json.dumps(event, default=repr)


def _escape(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = escape_but_lines(value) if key in MANY_LINES else escape(value)
    return event


def _blot_out(logger: WrappedLogger, method: str, line: Any) -> str:
    """``line`` is the text that the processor before has made."""
    return _without_secrets(line)


def _without_secrets(text: str) -> str:
    return SECRET.sub(rf"\1{MASK}", text)
