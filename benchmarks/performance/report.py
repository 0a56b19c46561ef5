"""The page that is made of results.json, and the plots."""

import json
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sides
import targets
from driver import GIVE_UP
from figures import OURS, Results, fastest, median, number
from prepare import prepare
from sides import SIDES
from workloads import CALLERS, SAMPLE, WORKLOADS

HERE = Path(__file__).parent
Column = tuple[str, Callable[[Results, str], str]]
NOTHING = "Not measured yet."


def failed(results: Results, workload: str, name: str) -> bool:
    return any("failed" in one for one in results.get(workload, {}).get(name, {}).get("rounds", []))


def column(title: str, workload: str, figure: str) -> Column:
    def cell(results: Results, name: str) -> str:
        value = median(results, workload, name, figure)
        if value is None:
            return "failed" if failed(results, workload, name) else ""
        return number(value) + ("*" if failed(results, workload, name) else "")

    return title, cell


def spread(title: str, workload: str, figure: str) -> Column:
    """The median with the lowest and the highest round."""
    _, plain = column(title, workload, figure)

    def cell(results: Results, name: str) -> str:
        rounds = results.get(workload, {}).get(name, {}).get("rounds", [])
        values = [one["figures"][figure] for one in rounds if "figures" in one]
        between = f" ({number(min(values))}–{number(max(values))})" if len(values) > 1 else ""
        return plain(results, name) + between

    return title, cell


def table(results: Results, names: Sequence[str], columns: Sequence[Column]) -> str:
    lines = ["| | " + " | ".join(title for title, _ in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = [cell(results, name) for _, cell in columns]
        if any(cells):
            lines.append("| " + " | ".join([SIDES[name].title, *cells]) + " |")
    return "\n".join(lines) if len(lines) > 2 else NOTHING


RATIOS = [
    # what, workload, figure, ours, the others, whether less is better
    ("jobs/s, Redis, 1 process, concurrency 10", "noop", "jobs_per_s", OURS, sides.REDIS, False),
    ("jobs/s, Redis, 2 processes, concurrency 10", "noop2", "jobs_per_s", OURS, sides.REDIS, False),
    ("jobs/s, SQLite, 1 process, concurrency 10", "noop", "jobs_per_s", "async_job_sqlite", sides.SQLITE, False),
    ("jobs/s, SQLite, whole cycle", "cycle", "jobs_per_s", "async_job_sqlite", sides.SQLITE, False),
    ("submits/s, Redis, 100 tasks (asynchronous)", "submit", "jobs_per_s", OURS,
     ["bullmq", "saq", "arq", "taskiq", "streaq"], False),
    ("submits/s, Redis, 100 tasks or 1 caller (all)", "submit", "jobs_per_s", OURS, sides.REDIS, False),
    ("submits/s, Redis, 1 task", "submit", "alone_per_s", OURS, sides.REDIS, False),
    ("submits/s, Redis, 1,000 a call", "bulk", "jobs_per_s", OURS, sides.BULK, False),
    ("idle, Redis: submit → result, p50, ms", "latency", "seen_p50_ms", OURS, sides.REDIS, True),
    ("idle, Redis: submit → result, p99, ms", "latency", "seen_p99_ms", OURS, sides.REDIS, True),
    ("jobs of 100 ms a second, concurrency 100", "sleep", "jobs_per_s", OURS, sides.MANY_AT_ONCE, False),
    ("CPU jobs/s, 1 process, concurrency 10", "cpu", "jobs_per_s", OURS, sides.REDIS, False),
    ("POST /start-job, Redis, requests/s", "http", "start_per_s", OURS, sides.HTTP, False),
    ("POST /start-job, SQLite, requests/s", "http", "start_per_s", "async_job_sqlite", sides.HTTP, False),
    ("POST /start-job, Redis, p99, ms", "http", "start_p99_ms", OURS, sides.HTTP, True),
    ("GET /status-job, Redis, requests/s", "http", "status_per_s", OURS, sides.HTTP, False),
]  # fmt: skip


def ratios(results: Results) -> str:
    lines = ["| | async-job | best of the others | ratio | of the floor |", "|---|---|---|---|---|"]
    for what, workload, figure, ours, names, least in RATIOS:
        own = median(results, workload, ours, figure)
        best = fastest(results, workload, figure, names, least)
        if own is None or best is None:
            continue
        name, value = best
        runs = {results["noop" if workload == "cycle" else workload][one]["run"] for one in (ours, name)}
        note = ", in another run" if len(runs) > 1 else ""
        store = SIDES[ours].name.removeprefix(OURS)
        floor = median(results, workload, "floor_http" if workload == "http" and not store else f"floor{store}", figure)
        part = f"{own / floor:.2f}" if floor else ""
        cells = [what, number(own), f"{number(value)} ({SIDES[name].title}{note})", f"{own / value:.2f}", part]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def of_constant(results: Results, name: str) -> str:
    status, constant = (median(results, "http", name, f"{what}_per_s") for what in ("status", "constant"))
    return f"{status / constant:.2f}" if status and constant else ""


SECTIONS: list[tuple[str, str, Sequence[str], Sequence[Column]]] = [
    ("Jobs that do nothing, on Redis, with status and result stored",
     "Jobs a second; concurrency 10 in each process; median (lowest–highest). ![](throughput.svg)", sides.REDIS,
     [spread("1 process", "noop", "jobs_per_s"), spread("2 processes", "noop2", "jobs_per_s")]),
    ("The others at their fastest",
     "The same jobs without what each project can leave out; what that is stands under settings. async-job leaves out "
     "nothing.",
     ["async_job", *sides.FASTEST],
     [spread("1 process", "noop", "jobs_per_s")]),
    ("Submit",
     "Jobs a second, without workers. ![](submit.svg)", [*sides.REDIS, *sides.SQLITE],
     [("store", lambda results, name: SIDES[name].store if name in results.get("submit", {}) else ""),
      column("one by one", "submit", "jobs_per_s"), column("by so many callers", "submit", "callers"),
      column("by one", "submit", "alone_per_s"), column("a thousand a call", "bulk", "jobs_per_s")]),
    ("Latency",
     "Milliseconds on an idle system, 1 process: until the body runs, and until the submitter, a process of its own, "
     "has the result. ![](latency.svg)", [*sides.REDIS, *sides.SQLITE],
     [("store", lambda results, name: SIDES[name].store if name in results.get("latency", {}) else ""),
      column("body, p50", "latency", "ran_p50_ms"), column("body, p99", "latency", "ran_p99_ms"),
      column("result, p50", "latency", "seen_p50_ms"), column("result, p99", "latency", "seen_p99_ms")]),
    ("Jobs that do something",
     "Jobs a second, 1 process, on Redis: 1,000 that wait for 100 ms with concurrency 100, 1,000 that make 1,000 "
     "SHA-256 with concurrency 10.", list(dict.fromkeys([*sides.MANY_AT_ONCE, *sides.REDIS])),
     [column("100 ms", "sleep", "jobs_per_s"), column("SHA-256", "cpu", "jobs_per_s")]),
    ("SQLite",
     "Jobs a second, 1 process, concurrency 10. A whole cycle is submit and run, one after the other; the floor is "
     "submitted in transactions of ten then.", sides.SQLITE,
     [column("submit", "submit", "jobs_per_s"), spread("run", "noop", "jobs_per_s"),
      column("whole cycle", "cycle", "jobs_per_s"), spread("run, 2 processes", "noop2", "jobs_per_s")]),
    ("What Redis has to do and to hold",
     "Commands a job, from its submit (one by one, by the callers above) to its end, counted by MONITOR; commands a "
     "second with one idle worker process; growth of `used_memory` a job without input, over 100,000 queued ones and "
     "over 20,000 finished ones.", sides.REDIS,
     [column("sent, a job", "commands", "sent"), column("in scripts, a job", "commands", "in_scripts"),
      column("sent, idle, a second", "idle", "sent_per_s"), column("in scripts, idle", "idle", "in_scripts_per_s"),
      column("bytes, queued", "memory", "queued_bytes"), column("bytes, finished", "memory", "finished_bytes")]),
    ("A worker",
     "From its command to the end of a job that was waiting; then with nothing to do. USS is the memory that no other "
     "process shares, of all processes of the command together and of the largest.", [*sides.REDIS, *sides.SQLITE],
     [("store", lambda results, name: SIDES[name].store if name in results.get("idle", {}) else ""),
      column("start, s", "idle", "start_s"), column("processes", "idle", "processes"),
      column("USS, MB", "idle", "uss_mb"), column("the largest", "idle", "largest_uss_mb"),
      column("CPU, %", "idle", "cpu_percent")]),
    ("async-job serve, with nothing to do",
     "The whole command as `make run` starts it.", sides.OURS,
     [("store", lambda results, name: SIDES[name].store if name in results.get("serve", {}) else ""),
      column("processes", "serve", "processes"), column("USS, MB", "serve", "uss_mb"),
      column("CPU, %", "serve", "cpu_percent")]),
    ("HTTP",
     "wrk with 64 connections on one server process without workers: requests a second and p99 in milliseconds. "
     "*constant*: `GET /healthz` of the same application, behind the same middleware. The floor has none, and reads "
     "nothing of a request but its path. ![](http.svg)", sides.HTTP,
     [("store", lambda results, name: SIDES[name].store if name in results.get("http", {}) else ""),
      column("start", "http", "start_per_s"), column("p99", "http", "start_p99_ms"),
      column("status", "http", "status_per_s"), column("p99", "http", "status_p99_ms"),
      column("constant", "http", "constant_per_s"), ("status / constant", of_constant)]),
]  # fmt: skip


def depths(results: Results) -> str:
    lines = ["| store | queued | claim of ten, p50 | p99 | page of fifty, p50 | p99 |", "|---|---|---|---|---|---|"]
    for name in sides.OURS:
        for depth in (0, 1_000, 10_000, 100_000, 1_000_000):
            names = [f"{what}_{depth}_{part}_ms" for what in ("claim", "page") for part in ("p50", "p99")]
            values = [median(results, "claim", name, figure) for figure in names]
            if None not in values:
                cells = [number(value) for value in values if value is not None]
                lines.append(f"| {SIDES[name].store} | {depth:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def remarks(results: Results) -> str:
    lines = []
    for workload, measured in results.items():
        for name, entry in measured.items():
            who = f"- {SIDES[name].title} on {SIDES[name].store}, {WORKLOADS[workload].title}"
            reasons = {one["failed"] for one in entry["rounds"] if "failed" in one}
            lines += [f"{who}: failed: {reason}" for reason in sorted(reasons)]
            missing = [int(one.get("figures", {}).get("missing", 0)) for one in entry["rounds"]]
            if any(missing):
                lines.append(
                    f"{who}: of {SAMPLE + 10} results {', '.join(map(str, missing))} were missing, by the rounds"
                )
    return "\n".join(lines) or "None."


def settings(results: Results) -> str:
    found: dict[str, tuple[str, str]] = {}
    for measured in results.values():
        for name, entry in measured.items():
            found[name] = entry["version"], entry["note"]
    lines = ["| project | store | versions | settings |", "|---|---|---|---|"]
    for name in SIDES:
        if name in found:
            version, note = found[name]
            title = SIDES[name].title + (", fastest" if name in sides.FASTEST else "")
            lines.append(f"| {title} | {SIDES[name].store} | {version} | {note} |")
    return "\n".join(lines)


def write(folder: Path, envs: Path) -> None:
    """Makes README.md and the plots in the folder that has results.json, with what people said under `about`."""
    everything = json.loads((folder / "results.json").read_text())
    results, machine = everything["workloads"], everything["machine"]
    texts = {"sample": SAMPLE + 10, "give_up": GIVE_UP, "callers": CALLERS}
    parts = [(HERE / "preface.md").read_text().rstrip().format(**texts)]
    if everything["small"]:
        parts.append("**A trial with tiny counts, to see that everything works: no figures to keep.**")
    if everything.get("about"):
        parts.append("\n".join(["About these runs:", "", *(f"- {remark}" for remark in everything["about"])]))
    parts.append("\n".join(["## Against the best of the others", "", ratios(results)]))
    why = "Ratios, where no unit is named. Why some are missed, and what was tried: [profile.md](profile.md)."
    parts.append("\n".join(["## Targets", "", why, "", targets.table(results)]))
    for title, about, names, columns in SECTIONS:
        text, image, plot = about.partition("![]")
        made = table(results, names, columns)
        # Of what was not measured there is no plot.
        shown = f"![{title}]{plot}" if image and made != NOTHING else ""
        parts.append("\n\n".join(part for part in (f"## {title}", text.strip(), shown, made) if part))
    with_many = (
        "async-job alone, in milliseconds. With none queued there are only the ten that are claimed, and the page is "
        "empty."
    )
    parts.append("\n\n".join(["## Claims and lists with many queued", with_many, depths(results)]))
    parts.append("\n\n".join(["## What failed or was missing", remarks(results)]))
    parts.append("\n\n".join(["## Versions and settings", settings(results)]))
    loads = [one["load"] for measured in results.values() for entry in measured.values() for one in entry["rounds"]]
    dates = sorted({entry["run"][:10] for measured in results.values() for entry in measured.values()})
    runs = {entry["run"] for measured in results.values() for entry in measured.values()}
    parts.append(
        f"Measured on {', '.join(dates)}, in {len(runs)} {'run' if len(runs) == 1 else 'runs'}, on "
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, {machine['python']}, "
        f"{machine['redis']}. The load average before each measurement was {min(loads):g} to {max(loads):g}, "
        f"in the middle {statistics.median(loads):g}. A figure with * is of fewer rounds, since some "
        "failed. Made by `python benchmarks/performance/run.py`."
    )
    (folder / "README.md").write_text("\n\n".join(parts) + "\n")
    draw(results, folder, envs)


def draw(results: Results, folder: Path, envs: Path) -> None:
    """Has the plots drawn in the environment that has matplotlib."""

    def bars(workload: str, figures: dict[str, str], names: Sequence[str]) -> dict[str, Any]:
        both = {title: {name: median(results, workload, name, figure) for name in names}
                for title, figure in figures.items()}  # fmt: skip
        return {title: {label(name): value for name, value in found.items()} for title, found in both.items()}

    def label(name: str) -> str:
        side = SIDES[name]
        return side.title + (" (SQLite)" if side.store == "sqlite" else "")

    one, two = (bars(workload, {title: "jobs_per_s"}, sides.REDIS)
                for workload, title in (("noop", "1 process"), ("noop2", "2 processes")))  # fmt: skip
    single = bars("submit", {"one by one": "jobs_per_s"}, sides.REDIS)
    many = bars("bulk", {"a thousand a call": "jobs_per_s"}, sides.REDIS)
    latencies = {"result seen, p50": "seen_p50_ms", "result seen, p99": "seen_p99_ms"}
    requests = {"POST /start-job": "start_per_s", "GET /status-job": "status_per_s"}
    plots = [
        ("throughput", "Jobs that do nothing, status and result stored, on Redis", "jobs a second", False, one | two),
        ("submit", "Submit, on Redis", "jobs a second", False, single | many),
        ("latency", "One job on an idle system", "milliseconds (logarithmic)", True,
         bars("latency", latencies, [*sides.REDIS, *sides.SQLITE])),
        ("http", "HTTP, one server process, 64 connections", "requests a second", False,
         bars("http", requests, sides.HTTP)),
    ]  # fmt: skip
    subprocess.run(
        [str(prepare("plots", envs)), str(HERE / "plots.py"), str(folder)],
        input=json.dumps(plots), text=True, check=True, timeout=120,
    )  # fmt: skip
