"""Tells other processes that something was written, by a datagram.

It is a hint, and may be lost: whoever waits also looks for himself from time to time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

TEMPORARY: Final = Path("/tmp")
LONGEST_ADDRESS: Final = 107
"""Bytes that a Unix socket's path may have."""


class Announcer:
    """One Unix socket a process in a folder beside the database, and a datagram to all the others there."""

    def __init__(self, database: Path) -> None:
        self._folder = folder_of(database)
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._ear: socket.socket | None = None
        self._mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Calls ``hear`` with what others tell. Where no socket can be made, nothing is heard."""
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._folder.mkdir(0o777 if self._folder.parent != TEMPORARY else 0o700, exist_ok=True)
            if not _is_ours(self._folder):
                raise NotADirectoryError(self._folder)
            ear.bind(str(self._folder / self._name))
        except OSError:
            ear.close()
            return
        self._ear = ear
        asyncio.get_running_loop().add_reader(ear, self._receive, ear, hear)

    @staticmethod
    def _receive(ear: socket.socket, hear: Callable[[bytes], None]) -> None:
        told = set()
        with suppress(BlockingIOError):  # all is read
            while True:
                told.add(ear.recv(64))
        for message in told:
            hear(message)

    def tell(self, message: bytes) -> None:
        """Tells the other processes, and clears away after those that are gone."""
        if self._ear is None:
            return
        with suppress(OSError):  # nobody has ever listened, or they are not ours to tell
            for name in os.listdir(self._folder):
                if name != self._name:
                    self._tell(f"{self._folder}/{name}", message)

    def _tell(self, address: str, message: bytes) -> None:
        try:
            self._mouth.sendto(message, address)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(OSError):  # another process was quicker, or it is not ours to remove
                # A file of any other kind refuses, too.
                if stat.S_ISSOCK(os.lstat(address).st_mode):
                    os.unlink(address)
        except OSError:
            return  # its buffer is full of hints, or it is another user's: it looks for itself

    def close(self) -> None:
        if self._ear is not None:
            asyncio.get_running_loop().remove_reader(self._ear)
            self._ear.close()
            self._ear = None
            (self._folder / self._name).unlink(missing_ok=True)
        self._mouth.close()


def folder_of(database: Path) -> Path:
    """Where the processes that share ``database`` listen: beside it, or, where that makes too long an address, in
    the folder for temporary files, under a name that every process finds by itself."""
    beside = Path(f"{database}-wake")
    if len(os.fsencode(beside / "4194304-00000000")) <= LONGEST_ADDRESS:
        return beside
    return TEMPORARY / f"async-job-{sha256(os.fsencode(database)).hexdigest()[:16]}"


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder, and no link to one; among the temporary files anybody could have made it."""
    found = os.lstat(folder)
    return stat.S_ISDIR(found.st_mode) and (folder.parent != TEMPORARY or found.st_uid == os.geteuid())
