"""The command ``async-job``. It stands beside the package, because importing that takes most of the start, and a Ctrl-C
meanwhile should be no traceback."""

from __future__ import annotations

import sys
from typing import Final

INTERRUPTED: Final = 130


def main() -> int:
    """Runs one command and returns its exit code."""
    try:
        from async_job.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
