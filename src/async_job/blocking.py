"""For callers without an event loop: one background loop in a thread of its own, made when first needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from async_job.errors import UsageError

T = TypeVar("T")


class Blocking:
    """Runs coroutines in the background loop of this process and waits for them.

    After a fork the child has none of its parent's threads, and makes a loop of its own.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._pid = os.getpid()
        self._running: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None

    def call(self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Calls ``function`` in the background loop and returns what it returns.

        Raises:
            UsageError: called from inside a running event loop, which it would block.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._open().call(partial(function, *args, **kwargs))
        raise UsageError("a *_sync call inside an event loop would block it: await the call without _sync instead")

    def _open(self) -> BlockingPortal:
        if self._pid != os.getpid():
            self._forked()
        with self._lock:
            if self._portal is None:
                self._running = start_blocking_portal()
                self._portal = self._running.__enter__()
            return self._portal

    def _forked(self) -> None:
        """The lock may have been held by a thread that the fork did not copy."""
        self._lock = Lock()
        self._pid = os.getpid()
        self._running = self._portal = None

    def close(self) -> None:
        """Ends the background loop, if there is one in this process."""
        if self._pid == os.getpid() and self._running is not None:
            running, self._running, self._portal = self._running, None, None
            running.__exit__(None, None, None)
