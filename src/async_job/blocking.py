"""For callers without an event loop: one background loop in a thread of its own, made when first needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar

from async_job.errors import UsageError

T = TypeVar("T")


class Blocking:
    """Runs coroutines in the background loop of this process and waits for them. ``on_close`` is awaited in that loop
    before it ends.

    The thread is a daemon: a program that ends without closing this does end. After a fork the child has none of its
    parent's threads, and makes a loop of its own.
    """

    def __init__(self, on_close: Callable[[], Awaitable[None]]) -> None:
        self._on_close = on_close
        self._lock = Lock()
        self._pid = os.getpid()
        self._loop: BackgroundLoop | None = None
        self._left_behind: BackgroundLoop | None = None

    def call(self, function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T:
        """Calls ``function`` in the background loop and returns what it returns.

        Raises:
            UsageError: called from inside a running event loop, which it would block.
        """
        if _in_a_loop():
            raise UsageError("a *_sync call inside an event loop would block it: await the call without _sync instead")

        async def called() -> T:
            return await function(*args, **kwargs)

        future = asyncio.run_coroutine_threadsafe(called(), self._open().loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C: nobody waits for it any more.
            future.cancel()
            raise

    def _open(self) -> BackgroundLoop:
        if self._pid != os.getpid():
            self._forked()
        with self._lock:
            if self._loop is None:
                self._loop = BackgroundLoop(self._on_close)
            return self._loop

    def _forked(self) -> None:
        """The lock may have been held by a thread that the fork did not copy. The parent's loop is not ours to close,
        and not to be collected either: it would close the files that it waits on."""
        self._lock = Lock()
        self._pid = os.getpid()
        self._left_behind, self._loop = self._loop, None

    def close(self) -> None:
        """Ends the background loop, if there is one in this process."""
        if self._pid != os.getpid():
            return
        with self._lock:
            ending, self._loop = self._loop, None
        if ending is not None:
            ending.end()


class BackgroundLoop:
    """An event loop in a thread, from its start to its end."""

    def __init__(self, on_close: Callable[[], Awaitable[None]]) -> None:
        self._on_close = on_close
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = Thread(target=self._run, name="async-job-blocking", daemon=True)
        self._thread.start()
        self.loop, self._ended = self._started.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        ended = asyncio.Event()
        self._started.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()
        await self._on_close()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
