"""A clock that can be set for the processes that are started with it, by libfaketime (Debian: package `faketime`); the
machine's own clock is never touched."""

from collections.abc import Mapping
from pathlib import Path

FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


def find_faketime() -> Path | None:
    """The library that a process with threads is started with."""
    found = (path for folder in FOLDERS for path in Path(folder).glob("**/faketime/libfaketimeMT.so.1"))
    return next(found, None)


class SetClock:
    """`environ` gives it to a process and all that it starts. Only the time of day is set: what counts the seconds that
    pass goes on, as when an administrator sets a clock."""

    def __init__(self, file: Path) -> None:
        library = find_faketime()
        assert library is not None, "libfaketime is missing (Debian: apt install faketime)"
        self._file = file
        self.set(0)
        self.environ: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        """So many seconds ahead of the machine's clock; negative: behind. Nobody sees half of it."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+}\n")
        draft.rename(self._file)
