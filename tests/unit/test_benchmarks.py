"""The benchmarks compare with pinned versions, through adapters short enough to be checked by their authors."""

import ast
import re
import sys
import threading
import tomllib
from array import array
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis

from support.servers import Server

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ADAPTERS = sorted((BENCHMARKS / "faults" / "rivals").glob("[a-z]*.py"))
PERFORMANCE = BENCHMARKS / "performance"
FAST_ADAPTERS = sorted((PERFORMANCE / "rivals").glob("[a-eg-z]*.py"))
SERVERS = sorted((PERFORMANCE / "servers").glob("fastapi_*.py"))
MOST_LINES = 60
Performance = Callable[[str], Any]
Write = Callable[[str, list[float]], None]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda path: path.stem)
def test_an_adapter_is_thin_and_says_how_it_is_set_up(adapter: Path) -> None:
    source = adapter.read_text()
    assert len(source.splitlines()) <= MOST_LINES
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    assert {"COMMAND", "SILENCE", "NOTE"} <= names


@pytest.mark.parametrize("adapter", FAST_ADAPTERS, ids=lambda path: path.stem)
def test_an_adapter_for_performance_has_what_the_driver_asks_for(adapter: Path) -> None:
    source = adapter.read_text()
    assert len(source.splitlines()) <= MOST_LINES
    made = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {"workers", "connect", "submit", "result", "close"} <= made
    assert re.search(r"^ *NOTE = ", source, re.MULTILINE)


def test_a_server_to_compare_with_is_short() -> None:
    assert all(len(server.read_text().splitlines()) <= MOST_LINES for server in SERVERS)


def test_every_package_is_pinned() -> None:
    rivals = tomllib.loads((BENCHMARKS / "rivals.toml").read_text())
    adapters = {adapter.stem.removesuffix("_late") for adapter in [*ADAPTERS, *FAST_ADAPTERS, *SERVERS]}
    assert adapters - {"async_job"} <= rivals.keys()
    for rival in rivals.values():
        assert all(re.fullmatch(r"[a-z-]+(\[[a-z,]+\])?==[0-9.]+", package) for package in rival["packages"])


@pytest.fixture
def performance(monkeypatch: pytest.MonkeyPatch) -> Performance:
    """Imports a module of the benchmarks, which are no package."""
    for folder in (BENCHMARKS, PERFORMANCE):
        monkeypatch.syspath_prepend(str(folder))
    return import_module


class TestRates:
    """What the bodies of jobs leave in shared memory, and the rate that is read out of it."""

    @pytest.fixture
    def write(self, performance: Performance, tmp_path: Path) -> Write:
        bodies = performance("bodies")

        def write(name: str, times: list[float]) -> None:
            numbers = array("d", bytes(bodies.SIZE))
            numbers[0], numbers[1] = len(times), times[-1]
            for index in range(0, len(times), bodies.EVERY):
                numbers[2 + index // bodies.EVERY] = times[index]
            (tmp_path / name).write_bytes(numbers.tobytes())

        return write

    def test_what_a_body_writes_is_what_is_read(
        self, performance: Performance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("TRACE", str(tmp_path))
        noop = performance("bodies").noop
        for _ in range(3):
            noop()
        thread = threading.Thread(target=noop)
        thread.start()
        thread.join()
        assert performance("marks").count(tmp_path) == 4
        assert len(list(tmp_path.iterdir())) == 2

    def test_one_process_counts_from_its_first_job(
        self, performance: Performance, write: Write, tmp_path: Path
    ) -> None:
        write("1-1", [10 + n / 100 for n in range(1000)])
        assert performance("marks").rate(tmp_path) == pytest.approx(100)

    def test_two_processes_count_from_when_both_are_at_work(
        self, performance: Performance, write: Write, tmp_path: Path
    ) -> None:
        write("1-1", [10 + n / 100 for n in range(1000)])
        write("2-1", [10.5 + n / 100 for n in range(950)])
        assert performance("marks").rate(tmp_path) == pytest.approx(200, rel=0.01)

    def test_a_process_that_comes_late_does_not_make_the_sample_small(
        self, performance: Performance, write: Write, tmp_path: Path
    ) -> None:
        write("1-1", [10 + n / 100 for n in range(1000)])
        write("2-1", [19.9])
        assert performance("marks").rate(tmp_path) == pytest.approx(100, rel=0.02)

    def test_threads_of_one_process_are_added(self, performance: Performance, write: Write, tmp_path: Path) -> None:
        for thread in range(4):
            write(f"1-{thread}", [10 + n / 25 for n in range(250)])
        assert performance("marks").rate(tmp_path) == pytest.approx(100, rel=0.02)

    def test_a_file_that_was_only_just_made_counts_nothing(self, performance: Performance, tmp_path: Path) -> None:
        (tmp_path / "1-1").touch()
        assert performance("marks").count(tmp_path) == 0


class TestTheReport:
    RESULTS: ClassVar = {
        "noop": {
            "async_job": {"run": "1", "rounds": [{"figures": {"jobs_per_s": rate}} for rate in (900, 1000, 1500)]},
            "huey": {"run": "1", "rounds": [{"figures": {"jobs_per_s": 200, "missing": 2}}, {"failed": "it broke"}]},
            "arq": {"run": "0", "rounds": [{"figures": {"jobs_per_s": 100}}]},
            "rq": {"run": "1", "rounds": [{"failed": "it broke, too"}]},
            "floor": {"run": "1", "rounds": [{"figures": {"jobs_per_s": 3000}}]},
        }
    }

    def test_ours_is_compared_with_the_best_of_the_others_and_not_with_the_floor(
        self, performance: Performance
    ) -> None:
        assert "| 1,000 | 200 (Huey) | 5.00 | 0.33 |" in performance("report").ratios(self.RESULTS)

    def test_figures_of_two_runs_are_told_apart(self, performance: Performance) -> None:
        results = {"noop": {name: self.RESULTS["noop"][name] for name in ("async_job", "arq")}}
        assert "100 (arq, in another run)" in performance("report").ratios(results)

    def test_failures_stay_in_the_table_and_have_their_reason(self, performance: Performance) -> None:
        report = performance("report")
        made = report.table(self.RESULTS, ["huey", "rq", "saq"], [report.column("jobs", "noop", "jobs_per_s")])
        assert made.splitlines()[2:] == ["| Huey | 200* |", "| RQ | failed |"]
        remarks = report.remarks(self.RESULTS)
        assert "Huey on redis, jobs that do nothing, 1 process, concurrency 10: failed: it broke" in remarks
        assert "of 210 results 2, 0 were missing" in remarks


def test_commands_are_counted_where_they_come_from(performance: Performance, redis_server: Server) -> None:
    monitor = performance("monitor").Monitor(redis_server.port)
    with redis.Redis(port=redis_server.port) as client:
        client.ping()
        with monitor:
            client.set("a", "1")
            client.eval("redis.call('GET', 'a') return redis.call('GET', 'a')", 0)
    assert (monitor.sent, monitor.in_scripts) == (2, 2)


@pytest.mark.realtime
@pytest.mark.parametrize("workload", ["noop", "claim"])
def test_async_job_itself_can_be_measured(performance: Performance, tmp_path: Path, workload: str) -> None:
    """Also by what has to know the store's methods, so that a change of those is seen here."""
    side = performance("sides").SIDES["async_job_sqlite"]
    workloads = performance("workloads")
    sizes = replace(workloads.SMALL, depths=(0,))
    figures = workloads.WORKLOADS[workload].do(workloads.Place(side, Path(sys.executable), tmp_path, sizes))
    assert figures
    assert all(figure > 0 for figure in figures.values())
    assert "missing" not in figures
