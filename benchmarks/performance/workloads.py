"""The workloads: each does one thing to one side with a new store, and gives its figures by name."""

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sides
from deep import claims_at_depth
from driver import GIVE_UP
from monitor import Monitor
from scene import Failed, Scene
from serving import requests
from sides import Side

from support.servers import free_port

Figures = dict[str, float]
CALLERS = 100
SETTLE = 0.5
SAMPLE = 200
"""So many results are read back after a run, besides the last ten."""


@dataclass(frozen=True)
class Sizes:
    """How many jobs, and for how many seconds."""

    noop: int = 20_000
    submit: int = 10_000
    alone: int = 2_000
    bulk: int = 20_000
    latency: int = 300
    latency_seconds: float = 30
    sleep: int = 1_000
    cpu: int = 1_000
    queued: int = 100_000
    finished: int = 20_000
    commands: int = 1_000
    idle: float = 10
    serve: float = 10
    depths: tuple[int, ...] = (0, 10_000, 100_000, 1_000_000)


SMALL = Sizes(500, 300, 100, 500, 20, 5, 200, 100, 1_000, 500, 100, 3, 2, (0, 1_000))


@dataclass(frozen=True)
class Place:
    """Where a side is measured: its interpreter and an empty folder."""

    side: Side
    python: Path
    folder: Path
    sizes: Sizes

    def scene(self, *, processes: int = 1, concurrency: int = 10) -> Scene:
        return Scene(self.side, self.python, self.folder, processes=processes, concurrency=concurrency)


def fill(scene: Scene, body: str, count: int) -> None:
    """Puts jobs into the store, as fast as the side can."""
    if scene.ask("about", processes=1)["bulk"]:
        scene.ask("bulk", body=body, count=count)
    else:
        scene.ask("submit", body=body, count=count, callers=CALLERS)


def lost(scene: Scene) -> Figures:
    """How many of some results could not be read back. A few are told beside the figures; no side may have none."""
    if scene.side.variant == "fastest":
        return {}
    # The last bodies have ended, their results are on their way.
    time.sleep(SETTLE)
    told = scene.ask("missing", most=SAMPLE)
    if told["missing"] >= GIVE_UP:
        raise Failed(f"{told['missing']} of {SAMPLE + 10} results or more could not be read back: {told['reason']}")
    return {"missing": told["missing"]} if told["missing"] else {}


def run_jobs(place: Place, body: str, count: int, *, processes: int = 1, concurrency: int = 10) -> Figures:
    """The jobs wait in the store, then the workers start; results are read back afterwards."""
    with place.scene(processes=processes, concurrency=concurrency) as scene:
        fill(scene, body, count)
        scene.start_workers()
        scene.until_ran(count)
        return {"jobs_per_s": scene.rate(), **lost(scene)}


def noop(place: Place) -> Figures:
    return run_jobs(place, "noop", place.sizes.noop)


def noop_two(place: Place) -> Figures:
    return run_jobs(place, "noop", place.sizes.noop, processes=2)


def sleep(place: Place) -> Figures:
    return run_jobs(place, "sleep", place.sizes.sleep, concurrency=100)


def cpu(place: Place) -> Figures:
    return run_jobs(place, "cpu", place.sizes.cpu)


def submit(place: Place) -> Figures:
    """One by one: from 100 tasks where the side is asynchronous, and from one."""
    many, one = place.sizes.submit, place.sizes.alone
    with place.scene() as scene:
        scene.ask("submit", body="noop", count=min(100, one), callers=1)
        answer = scene.ask("submit", body="noop", count=many, callers=CALLERS)
        alone = scene.ask("submit", body="noop", count=one, callers=1)
    return {
        "jobs_per_s": many / answer["seconds"],
        "callers": answer["callers"],
        "alone_per_s": one / alone["seconds"],
    }


def bulk(place: Place) -> Figures:
    with place.scene() as scene:
        scene.ask("bulk", body="noop", count=min(1_000, place.sizes.bulk))
        answer = scene.ask("bulk", body="noop", count=place.sizes.bulk)
    return {"jobs_per_s": place.sizes.bulk / answer["seconds"]}


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def latency(place: Place) -> Figures:
    """One job after the other on an idle system; the submitter is a process of its own."""
    with place.scene() as scene:
        fill(scene, "noop", 10)
        scene.start_workers()
        scene.until_ran(10)
        time.sleep(1)
        told = scene.ask("latency", count=place.sizes.latency, seconds=place.sizes.latency_seconds)
    figures: Figures = {"jobs": len(told["ran"])}
    for name in ("ran", "seen"):
        figures |= {f"{name}_p50_ms": statistics.median(told[name]), f"{name}_p99_ms": percentile(told[name], 0.99)}
    return figures


def memory(place: Place) -> Figures:
    """Growth of the server's used_memory, for each finished job and for each queued one."""
    with place.scene() as scene:
        # Scripts, connections and buffers are not the jobs'.
        fill(scene, "noop", 10)
        run_all(scene, 10)
        ends, waits = place.sizes.finished, place.sizes.queued
        before = scene.used_memory()
        fill(scene, "noop", ends)
        missing = run_all(scene, 10 + ends)
        finished = scene.used_memory()
        fill(scene, "noop", waits)
        queued = scene.used_memory()
    return {"queued_bytes": (queued - finished) / waits, "finished_bytes": (finished - before) / ends, **missing}


def run_all(scene: Scene, count: int) -> Figures:
    """Workers run what is there, until so many have ended since the beginning, and are ended."""
    scene.start_workers()
    scene.until_ran(count)
    missing = lost(scene)
    for worker in scene.workers:
        worker.end()
    scene.workers.clear()
    return missing


def commands(place: Place) -> Figures:
    """Redis commands for each job, from its submit (one by one) to its end."""
    count = place.sizes.commands
    with place.scene() as scene:
        fill(scene, "noop", 10)
        scene.start_workers()
        scene.until_ran(10)
        assert scene.server is not None
        with Monitor(scene.server.port) as monitor:
            scene.ask("submit", body="noop", count=count, callers=CALLERS)
            scene.until_ran(count + 10)
    return {"sent": monitor.sent / count, "in_scripts": monitor.in_scripts / count}


def idle(place: Place) -> Figures:
    """From the start of the workers' command to the end of a job that was waiting; then what they use while idle."""
    seconds = place.sizes.idle
    with place.scene() as scene:
        fill(scene, "noop", 1)
        began = time.monotonic()
        scene.start_workers()
        scene.until_ran(1)
        started = time.monotonic() - began
        time.sleep(3)
        figures: Figures = {"start_s": started}
        # It costs the server only, which is not among the processes whose time is counted.
        monitor = None if scene.server is None else Monitor(scene.server.port)
        with monitor or contextlib.nullcontext():
            cpu_before = scene.cpu()
            time.sleep(seconds)
            figures["cpu_percent"] = 100 * (scene.cpu() - cpu_before) / seconds
        figures |= {
            "processes": len(scene.pids()),
            "uss_mb": sum(scene.uss()) / 1e6,
            "largest_uss_mb": max(scene.uss()) / 1e6,
        }
        if monitor is not None:
            figures |= {"sent_per_s": monitor.sent / seconds, "in_scripts_per_s": monitor.in_scripts / seconds}
    return figures


def serve(place: Place) -> Figures:
    """The whole command with nothing to do: supervisor, HTTP and as many workers as it starts by itself."""
    with place.scene() as scene:
        scene.start(["bin/async-job", "serve", "rivals.async_job:jobs", "--port", str(free_port())])
        time.sleep(5)
        before = scene.cpu()
        time.sleep(place.sizes.idle)
        used = scene.cpu() - before
        return {
            "processes": len(scene.pids()),
            "uss_mb": sum(scene.uss()) / 1e6,
            "cpu_percent": 100 * used / place.sizes.idle,
        }


@dataclass(frozen=True)
class Workload:
    """`rounds` limits how often it is done, where there is little to scatter."""

    title: str
    do: Callable[[Place], Figures]
    names: Sequence[str]
    rounds: int = 99


def claim(place: Place) -> Figures:
    return claims_at_depth(place.scene(), place.sizes.depths)


def http(place: Place) -> Figures:
    return requests(place.scene(), place.sizes.serve)


RUNNING = [*sides.REDIS, *sides.SQLITE]
WORKLOADS = {
    "noop": Workload("jobs that do nothing, 1 process, concurrency 10", noop, [*RUNNING, *sides.FASTEST]),
    "noop2": Workload("jobs that do nothing, 2 processes, concurrency 10 each", noop_two, RUNNING),
    "submit": Workload("submit, one by one", submit, RUNNING),
    "bulk": Workload("submit, a thousand a call", bulk, sides.BULK),
    "latency": Workload("one job on an idle system", latency, RUNNING),
    "sleep": Workload("jobs of 100 ms, 1 process, concurrency 100", sleep, sides.MANY_AT_ONCE, rounds=1),
    "cpu": Workload("jobs of 1,000 SHA-256, 1 process, concurrency 10", cpu, sides.REDIS),
    "idle": Workload("start-up, and a worker with nothing to do", idle, [*RUNNING]),
    "commands": Workload("Redis commands a job", commands, sides.REDIS, rounds=1),
    "memory": Workload("bytes of Redis a job", memory, sides.REDIS, rounds=1),
    "serve": Workload("async-job serve with nothing to do", serve, sides.OURS),
    "claim": Workload("claims and lists with many queued", claim, sides.OURS, rounds=1),
    "http": Workload("HTTP, 64 connections", http, sides.HTTP),
}
