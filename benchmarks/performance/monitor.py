"""Counts the commands that a Redis server carries out, by MONITOR: those that clients sent and those within scripts."""

import re
import socket
import threading
import time
from types import TracebackType
from typing import Self

LINE = re.compile(rb'^\+[0-9.]+ \[[0-9]+ (lua|[^\]]+)\] "', re.MULTILINE)


class Monitor:
    """`with Monitor(port) as monitor:` counts until the block ends. It slows the server: time nothing with it."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self.in_scripts = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> Self:
        self._socket.sendall(b"MONITOR\r\n")
        if not self._socket.recv(5).startswith(b"+OK"):
            raise RuntimeError("MONITOR was refused")
        self._socket.settimeout(None)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # What has been done is told a moment later.
        time.sleep(0.3)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def _count(self) -> None:
        rest = b""
        while received := self._socket.recv(1 << 20):
            lines, newline, rest = (rest + received).rpartition(b"\r\n")
            for origin in LINE.findall(lines + newline):
                if origin == b"lua":
                    self.in_scripts += 1
                else:
                    self.sent += 1
