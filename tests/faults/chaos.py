"""Plays the fault matrix and prints one JSON line a row as it ends, and a table at the end: `make chaos`.

    make chaos                      both stores, all rows
    make chaos STORE=redis FROM=9   one store, from a row on
    make chaos ROWS=1,3 SCALE=short

Each row is played by a process of its own, so that one that hangs is ended, and what it started with it.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from faults.play import STORES, fault, module, numbers
from faults.result import RowResult

TESTS = Path(__file__).parents[1]
SIDE_BY_SIDE = 2
"""So many rows at once, of those that do not have to be alone."""
LIMIT = 120.0
"""Seconds that a row may take at full scale, unless it says otherwise."""
SHORT_LIMIT = 60.0
LAST_WORDS = 20.0
"""Seconds for a row that was broken off at its limit to say what came of the jobs, before its process is killed."""


def play(row: int, store: str, scale: str, folder: Path, environ: Mapping[str, str] = {}) -> RowResult:
    """Plays a row in another process."""
    limit = getattr(module(row), "LIMIT", LIMIT) if scale == "full" else SHORT_LIMIT
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "faults.play", str(row), store, scale, str(folder), str(limit)],
            env={**os.environ, "PYTHONPATH": str(TESTS), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit + LAST_WORDS)
        except subprocess.TimeoutExpired:
            return failed(row, store, scale, f"not ended after {limit + LAST_WORDS:g} s")
        finally:
            assert process.stdout is not None
            process.stdout.close()
            # What the row started goes with it (see `support.supervised.end_with_parent`).
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    try:
        return msgspec.json.decode(output.strip().rpartition(b"\n")[2], type=RowResult)
    except msgspec.MsgspecError:
        said = (folder / "stderr").read_text(errors="replace").strip().splitlines()
        return failed(row, store, scale, *(said[-12:] or [f"exit code {process.returncode}, and nothing said"]))


def failed(row: int, store: str, scale: str, *why: str) -> RowResult:
    return RowResult(row=row, fault=fault(row), store=store, scale=scale, passed=False, why=list(why))


def stores_of(row: int) -> tuple[str, ...]:
    stores: tuple[str, ...] = getattr(module(row), "STORES", STORES)
    return stores


def is_alone(row: int) -> bool:
    return getattr(module(row), "ALONE", False) is True


def missing(row: int) -> str:
    """What the row takes and this machine does not have."""
    what: str = getattr(module(row), "missing", str)()
    return what


COLUMNS = {
    "attempted": "sent",
    "acknowledged": "acked",
    "lost": "lost",
    "unexpected": "unexp",
    "duplicated_explained": "again",
    "duplicated_unexplained": "doubled",
    "stale_accepted": "stale",
    "illegal": "illegal",
    "stuck": "stuck",
}


def table(results: list[RowResult]) -> str:
    heads = ["row", "store", "", *COLUMNS.values(), "p50", "p95", "max", "s", "fault"]
    lines = [heads]
    for one in results:
        counts = [str(getattr(one, name)) for name in COLUMNS]
        recovery = [f"{one.recovery[name]:.2f}" if name in one.recovery else "" for name in ("p50", "p95", "max")]
        word = "ok" if one.passed else "FAILED"
        lines.append([str(one.row), one.store, word, *counts, *recovery, f"{one.seconds:.0f}", one.fault])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    words = (1, 2, len(heads) - 1)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at in words else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, help="one store only")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first row")
    parser.add_argument("--rows", default="", help="only these, with commas between")
    parser.add_argument("--scale", choices=("full", "short"), default="full")
    parser.add_argument("--folder", type=Path, help="where the rows' files are kept (default: a temporary one)")
    options = parser.parse_args()
    numbers_wanted = [int(row) for row in options.rows.split(",") if row] or [
        row for row in numbers() if row >= options.first
    ]
    stores = [options.store] if options.store else STORES
    wanted = [(row, store) for store in stores for row in numbers_wanted if store in stores_of(row)]
    results: list[RowResult] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:

        def play_and_tell(row: int, store: str) -> None:
            folder = (options.folder or Path(temporary)) / f"{store}-{row:02}"
            folder.mkdir(parents=True)
            result = play(row, store, options.scale, folder)
            results.append(result)
            print(msgspec.json.encode(result).decode(), flush=True)

        for at_once, alone in ((1, True), (SIDE_BY_SIDE, False)):
            with ThreadPoolExecutor(at_once) as pool:
                rows = [pool.submit(play_and_tell, *case) for case in wanted if is_alone(case[0]) is alone]
                for row in rows:
                    row.result()
    print("\n" + table(sorted(results, key=lambda result: (result.store, result.row))))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
