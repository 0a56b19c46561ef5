"""Figures out of results.json: medians of the rounds, and the best of the others."""

import statistics
from collections.abc import Sequence
from typing import Any

import sides
from sides import SIDES

Results = dict[str, dict[str, Any]]
OURS = "async_job"


def median(results: Results, workload: str, name: str, figure: str) -> float | None:
    """Over the rounds that did not fail; `None`: there is none. `cycle` is made of two workloads."""
    if workload == "cycle":
        return cycle(results, name)
    rounds = results.get(workload, {}).get(name, {}).get("rounds", [])
    values = [one["figures"][figure] for one in rounds if figure in one.get("figures", {})]
    return statistics.median(values) if values else None


def cycle(results: Results, name: str) -> float | None:
    """Jobs a second when each is submitted and then run, one after the other."""
    run = median(results, "noop", name, "jobs_per_s")
    stored = median(results, "bulk" if name == "floor_sqlite" else "submit", name, "jobs_per_s")
    return 1 / (1 / run + 1 / stored) if run and stored else None


def number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def fastest(
    results: Results, workload: str, figure: str, names: Sequence[str], least: bool
) -> tuple[str, float] | None:
    """The best of the others; neither ours nor a floor."""
    found = [(value, name) for name in names if SIDES[name].adapter not in sides.OWN
             and (value := median(results, workload, name, figure)) is not None]  # fmt: skip
    if not found:
        return None
    value, name = min(found) if least else max(found)
    return name, value
