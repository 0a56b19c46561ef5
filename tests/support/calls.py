"""Counts the Python calls that the package makes: the same on a busy machine as on an idle one."""

import sys
from pathlib import Path
from types import FrameType

import async_job

PACKAGE = str(Path(async_job.__file__).parent)


class Calls:
    """Between ``start`` and ``stop``, in this thread: ``entered`` are the functions of the package that were entered
    (a coroutine each time that it goes on), ``outside`` the built-in functions that they called."""

    def __init__(self) -> None:
        self.entered = 0
        self.outside = 0

    def start(self) -> None:
        sys.setprofile(self._seen)

    def stop(self) -> None:
        sys.setprofile(None)

    def _seen(self, frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            self.entered += event == "call"
            self.outside += event == "c_call"

    def __repr__(self) -> str:
        return f"<{self.entered} entered, {self.outside} outside>"
