"""Knows when the server is about to stop, so that no client is kept waiting meanwhile.

Servers tell an application of their end only when all requests are answered. Our own server says it before; of another
one, such as a user's own uvicorn, the signal that ends it is heeded: while somebody waits for a job, it is noted on its
way to the server's handler.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final
from weakref import WeakSet

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Closing:
    """``heed_signals``: the server does not call ``set``. One application may be served by one event loop after the
    other, as tests do; each closes for itself."""

    def __init__(self, *, heed_signals: bool = False) -> None:
        self._heed_signals = heed_signals
        self._closed: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def set(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Lets nobody wait any more in the loop: the running one, unless another is given."""
        loop = loop or asyncio.get_running_loop()
        self._closed.add(loop)
        for event, its_loop in list(self._waiting.items()):
            if its_loop is loop and not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def wait(self) -> None:
        """Returns when the server of the running loop is about to stop."""
        loop = asyncio.get_running_loop()
        if loop in self._closed:
            return
        if self._heed_signals and threading.current_thread() is threading.main_thread():
            self._listen(loop)
        event = asyncio.Event()
        self._waiting[event] = loop
        try:
            await event.wait()
        finally:
            del self._waiting[event]

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Puts itself before the handlers that the server has set. Where it has set none, the process just ends."""
        for number in SIGNALS:
            handler = signal.getsignal(number)
            listener = _find(handler, self)
            if listener is not None:
                listener.loop = loop
            elif callable(handler) and handler is not signal.default_int_handler:
                signal.signal(number, Listener(self, loop, handler))


class Listener:
    """A signal handler that tells of the signal and passes it on."""

    def __init__(self, closing: Closing, loop: asyncio.AbstractEventLoop, next: Callable[..., Any]) -> None:
        self.closing = closing
        self.loop = loop
        self.next = next

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        self.closing.set(self.loop)
        return self.next(number, frame)


def _find(handler: object, closing: Closing) -> Listener | None:
    """The listener for ``closing`` among handlers that pass on to each other."""
    while isinstance(handler, Listener):
        if handler.closing is closing:
            return handler
        handler = handler.next
    return None
