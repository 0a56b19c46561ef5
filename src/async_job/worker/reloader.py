"""The reloader: says when a Python file below a folder has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from async_job.errors import UsageError
from async_job.logs import get_logger

log = get_logger()


def check_reload() -> None:
    """Raises ``UsageError`` unless what it needs is installed."""
    try:
        import watchfiles
    except ImportError as error:
        raise UsageError("reload needs the package of async-job's extra `reload`: pip install watchfiles") from error
    _ = watchfiles


async def keep_reloading(folder: Path, on_change: Callable[[], None]) -> None:
    """The loop; ends only by cancellation."""
    from watchfiles import PythonFilter, awatch

    async for changes in awatch(folder, watch_filter=PythonFilter()):
        changed = sorted(Path(path).name for _, path in changes)
        log.info("files changed, starting anew", files=changed[:5])
        on_change()
