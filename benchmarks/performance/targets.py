"""What the project has set out to reach, and what was measured of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sides
from figures import OURS, Results, fastest, median, number

SQLITE = "async_job_sqlite"
ASYNCHRONOUS = ["bullmq", "saq", "arq", "taskiq", "streaq"]


@dataclass(frozen=True)
class Target:
    """`measured` gives the figure, or `None` where there is none; it is to be at least, or at most, `bound`."""

    what: str
    measured: Callable[[Results], float | None]
    bound: float
    most: bool = False
    unit: str = ""


def _ratio(workload: str, figure: str, ours: str, others: Sequence[str], least: bool = False) -> Callable[..., float]:
    """Ours to the best of the others."""

    def measured(results: Results) -> float | None:
        own, best = median(results, workload, ours, figure), fastest(results, workload, figure, others, least)
        return own / best[1] if own is not None and best is not None else None

    return measured


def _figure(workload: str, figure: str, ours: str) -> Callable[..., float | None]:
    return lambda results: median(results, workload, ours, figure)


def _part(of: tuple[str, str, str], to: tuple[str, str, str]) -> Callable[..., float | None]:
    """One figure to another; each is workload, side and figure."""

    def measured(results: Results) -> float | None:
        one, other = median(results, *of), median(results, *to)
        return one / other if one is not None and other else None

    return measured


def _deep(what: str, ours: str, shallow: int) -> Callable[..., float | None]:
    return _part(("claim", ours, f"{what}_1000000_p99_ms"), ("claim", ours, f"{what}_{shallow}_p99_ms"))


TARGETS = [
    Target("jobs/s to the fastest other, Redis, 1 process", _ratio("noop", "jobs_per_s", OURS, sides.REDIS), 10),
    Target("2 processes to one, Redis", _part(("noop2", OURS, "jobs_per_s"), ("noop", OURS, "jobs_per_s")), 1.15),
    Target("submits/s to the fastest asynchronous other, 100 tasks",
           _ratio("submit", "jobs_per_s", OURS, ASYNCHRONOUS), 5),
    Target("submits/s to the fastest other, 1,000 a call", _ratio("bulk", "jobs_per_s", OURS, sides.BULK), 3),
    Target("submit → result, Redis, p50", _figure("latency", "seen_p50_ms", OURS), 2.5, True, "ms"),
    Target("the same to the best other", _ratio("latency", "seen_p50_ms", OURS, sides.REDIS, True), 1, True),
    Target("submit → result, Redis, p99", _figure("latency", "seen_p99_ms", OURS), 5, True, "ms"),
    Target("submit → result, SQLite, p50", _figure("latency", "seen_p50_ms", SQLITE), 5, True, "ms"),
    Target("jobs/s to Huey, SQLite", _ratio("noop", "jobs_per_s", SQLITE, sides.SQLITE), 5),
    Target("whole cycle to the floor, SQLite", _part(("cycle", SQLITE, ""), ("cycle", "floor_sqlite", "")), 0.5),
    Target("Redis, a queued job", _figure("memory", "queued_bytes", OURS), 500, True, "bytes"),
    Target("USS of an idle worker process, the largest", _figure("idle", "largest_uss_mb", OURS), 45, True, "MB"),
    Target("USS of all of `async-job serve`, SQLite", _figure("serve", "uss_mb", SQLITE), 200, True, "MB"),
    Target("POST /start-job to the fastest other, Redis", _ratio("http", "start_per_s", OURS, sides.HTTP), 6),
    Target("POST /start-job to the fastest other, SQLite", _ratio("http", "start_per_s", SQLITE, sides.HTTP), 6),
    Target("its p99 to the best other, Redis", _ratio("http", "start_p99_ms", OURS, sides.HTTP, True), 0.25, True),
    Target("its p99 to the best other, SQLite", _ratio("http", "start_p99_ms", SQLITE, sides.HTTP, True), 0.25, True),
    Target("GET /status-job to a constant route, Redis",
           _part(("http", OURS, "status_per_s"), ("http", OURS, "constant_per_s")), 0.4),
    Target("claim, p99: 10⁶ queued to none, Redis", _deep("claim", OURS, 0), 2, True),
    Target("claim, p99: 10⁶ queued to none, SQLite", _deep("claim", SQLITE, 0), 2, True),
    Target("page of a list, p99: 10⁶ queued to 10⁴, Redis", _deep("page", OURS, 10_000), 2, True),
    Target("page of a list, p99: 10⁶ queued to 10⁴, SQLite", _deep("page", SQLITE, 10_000), 2, True),
    Target("Redis commands, one idle worker", _figure("idle", "sent_per_s", OURS), 2, True, "a second"),
    Target("CPU, one idle worker, Redis", _figure("idle", "cpu_percent", OURS), 0.5, True, "%"),
]  # fmt: skip


def table(results: Results) -> str:
    """Each target with what was measured, and whether it is met."""
    lines = ["| | measured | target | |", "|---|---|---|---|"]
    for target in TARGETS:
        value = target.measured(results)
        if value is None:
            continue
        met = value <= target.bound if target.most else value >= target.bound
        unit = f" {target.unit}" if target.unit else ""
        bound = f"{'≤' if target.most else '≥'} {number(target.bound)}{unit}"
        lines.append(f"| {target.what} | {number(value)}{unit} | {bound} | {'met' if met else '**missed**'} |")
    return "\n".join(lines)
