"""What a supervisor tells a process that it starts: one JSON text in the environment."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

import msgspec
from msgspec import Struct

from async_job.errors import UsageError
from async_job.settings import Settings

VARIABLE: Final = "ASYNC_JOB_CHILD"

EX_RETIRED: Final = 70
"""A worker's exit code when its id was retired: it is to be started anew, under another."""
EX_CONFIG: Final = 78
"""A child's exit code when starting it again would not help: the application cannot be imported, a setting is wrong."""


class Launch(Struct, frozen=True, kw_only=True):
    """How a child of the supervisor begins.

    ``worker`` is the id that the supervisor has enrolled for it (empty: it claims nothing). ``signs_fd`` is the end of
    a pipe to write signs of life to, ``life_fd`` the end of one to read: end of file means that the supervisor is
    gone. ``listen_fd`` is a bound, listening socket, ``board_fd`` the file of a worker's ``Board``, ``channel_fd`` the
    socket of a child process to its worker. In ``folder`` the target is found, if that is not the current one;
    processes that the child starts inherit it.
    """

    target: str | None
    settings: Settings
    worker: str = ""
    signs_fd: int = -1
    life_fd: int = -1
    listen_fd: int = -1
    board_fd: int = -1
    channel_fd: int = -1
    folder: str = ""

    @property
    def fds(self) -> tuple[int, ...]:
        """What the child has to inherit."""
        fds = (self.signs_fd, self.life_fd, self.listen_fd, self.board_fd, self.channel_fd)
        return tuple(fd for fd in fds if fd >= 0)

    def environ(self) -> dict[str, str]:
        """This process's environment, with the launch added."""
        environ = {**os.environ, VARIABLE: msgspec.json.encode(self).decode()}
        if self.folder:
            environ["PYTHONPATH"] = os.pathsep.join(filter(None, [self.folder, os.environ.get("PYTHONPATH")]))
        return environ


def receive_launch(environ: MutableMapping[str, str] = os.environ) -> Launch:
    """How this process was started. Takes the launch out of the environment and keeps its files from processes that
    this one starts, so that none of those takes itself for a child of the supervisor.

    Raises:
        UsageError: it was not started by a supervisor.
    """
    text = environ.pop(VARIABLE, None)
    if text is None:
        raise UsageError("this module is started by async-job itself; run `async-job serve` or `async-job worker`")
    launch = msgspec.json.decode(text, type=Launch)
    for fd in launch.fds:
        os.set_inheritable(fd, False)
    return launch
