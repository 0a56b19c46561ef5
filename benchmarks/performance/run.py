"""async-job and the projects that one would use instead of it, side by side in one run.

    python benchmarks/performance/run.py [--workload noop,latency] [--rivals saq,arq] [--rounds 3] [--small]

What was measured is merged into results.json, so that a part can be measured anew; the tables and plots are made from
all of it. With --small everything is tiny and goes to build/performance. The environments of the others are made by
benchmarks/prepare.py, on first use.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "tests")]

import report  # noqa: E402
from prepare import ENVS  # noqa: E402
from sides import OURS, SIDES, note  # noqa: E402
from workloads import SMALL, WORKLOADS, Place, Sizes  # noqa: E402

REASON = 300
"""Characters of a failure's reason that are kept."""


def machine() -> dict[str, Any]:
    model = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]  # fmt: skip
    return {
        "cores": os.cpu_count(),
        "processor": model[0] if model else platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "redis": subprocess.run(
            ["redis-server", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def measure(workload: str, name: str, envs: Path, sizes: Sizes) -> dict[str, Any]:
    """One round of one side: its figures, or why there are none."""
    side = SIDES[name]
    about: dict[str, Any] = {"at": time.strftime("%Y-%m-%d %H:%M"), "load": round(os.getloadavg()[0], 2)}
    try:
        python = side.python(envs)
        with tempfile.TemporaryDirectory(prefix=f"{workload}-{name}-", ignore_cleanup_errors=True) as folder:
            figures = WORKLOADS[workload].do(Place(side, python, Path(folder), sizes))
    except Exception as error:  # noqa: BLE001 (whatever it is, the others are measured)
        return about | {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:REASON]}
    return about | {"figures": figures}


def chosen(given: str | None, known: list[str], what: str) -> list[str]:
    names = given.split(",") if given else known
    if unknown := set(names) - set(known):
        raise SystemExit(f"no {what} is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return names


def sides_of(workload: str, rivals: str | None) -> list[str]:
    """Those that are asked for; ours are always measured beside them."""
    names = WORKLOADS[workload].names
    wanted = chosen(rivals, list(SIDES), "rival")
    kept = [name for name in names if name in wanted]
    stores = {SIDES[name].store for name in kept}
    return [name for name in names if name in kept or (name in OURS and SIDES[name].store in stores)]


def merge(file: Path, workload: str, name: str, measured: dict[str, Any], small: bool) -> None:
    """Another run may have written meanwhile, so the file is read anew."""
    results = json.loads(file.read_text()) if file.exists() else {}
    results |= {"machine": machine(), "small": small}
    results.setdefault("workloads", {}).setdefault(workload, {})[name] = measured
    file.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", metavar="A,B", help=f"of {', '.join(WORKLOADS)}; all by default")
    parser.add_argument("--rivals", metavar="A,B", help=f"of {', '.join(SIDES)}; all by default, and always ours")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (%(default)s)")
    parser.add_argument("--small", action="store_true", help="tiny counts, to see that everything works")
    parser.add_argument("--report", action="store_true", help="measure nothing, make the tables and plots again")
    parser.add_argument("--to", type=Path, help="the folder of the results (docs/performance)")
    parser.add_argument("--envs", type=Path, default=ENVS, help="where the environments are kept (%(default)s)")
    arguments = parser.parse_args()
    # An end by SIGTERM ends what is being measured, with its server and its workers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = arguments.to or ROOT / ("build" if arguments.small else "docs") / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    file, sizes = folder / "results.json", SMALL if arguments.small else Sizes()
    workloads = chosen(arguments.workload, list(WORKLOADS), "workload")
    names = {workload: sides_of(workload, arguments.rivals) for workload in workloads}
    run = time.strftime("%Y-%m-%d %H:%M:%S")
    for workload in [] if arguments.report else workloads:
        # Interleaved: a round of all, then the next, so that what slows the machine meets everybody.
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names[workload]}
        for number in range(min(arguments.rounds, WORKLOADS[workload].rounds)):
            for name, done in rounds.items():
                done.append(measure(workload, name, arguments.envs, sizes))
                about = {"version": SIDES[name].version, "note": note(SIDES[name], arguments.envs), "run": run}
                merge(file, workload, name, about | {"rounds": done}, arguments.small)
                print(f"{workload} {number + 1} {name}: {json.dumps(done[-1])}", file=sys.stderr, flush=True)
    report.write(folder, arguments.envs)
    print((folder / "README.md").read_text())


if __name__ == "__main__":
    main()
