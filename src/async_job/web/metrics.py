"""The counts of a store in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from async_job.store.administration import QueueInfo, WorkerInfo
from async_job.store.protocol import Counts

CONTENT_TYPE: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")

Labels = dict[str, str]
Sample = tuple[Labels, float]


def exposition(counts: Counts, queues: Sequence[QueueInfo], workers: Sequence[WorkerInfo], now: int) -> str:
    """The whole page. What has no limit in number, such as ids and labels of jobs, is in none of its labels."""
    alive = [worker for worker in workers if worker.lease_end > now]
    lines: list[str] = []
    add = lines.extend
    add(_metric("jobs", "gauge", "Jobs in each state.", _by("state", counts.states.items())))
    by_queue = [({"queue": queue.name}, queue) for queue in queues]
    queued = [(labels, queue.queued) for labels, queue in by_queue]
    add(_metric("queued_jobs", "gauge", "Jobs that wait in each queue.", queued))
    ages = [(labels, _age(queue, now)) for labels, queue in by_queue]
    add(_metric("queue_oldest_seconds", "gauge", "How long the queue's first job has waited.", ages))
    paused = [(labels, float(queue.paused)) for labels, queue in by_queue]
    add(_metric("queue_paused", "gauge", "1 when nothing is started from the queue.", paused))
    started = [(labels, queue.started) for labels, queue in by_queue]
    add(_metric("started_jobs_total", "counter", "Runs that were started from each queue.", started))
    add(_metric("workers", "gauge", "Worker processes that are alive.", [({}, len(alive))]))
    slots = sum(worker.worker.concurrency for worker in alive)
    add(_metric("worker_slots", "gauge", "Jobs that the workers run at once at most.", [({}, slots)]))
    busy = sum(worker.running for worker in alive)
    add(_metric("worker_jobs", "gauge", "Jobs that the workers hold.", [({}, busy)]))
    return "\n".join([*lines, ""])


def _by(label: str, values: Iterable[tuple[str, float]]) -> list[Sample]:
    return [({label: str(name)}, value) for name, value in values]


def _age(queue: QueueInfo, now: int) -> float:
    return 0.0 if queue.ready_since is None else max(0, now - queue.ready_since) / 1000


def _metric(name: str, kind: str, text: str, samples: Iterable[Sample]) -> list[str]:
    name = f"async_job_{name}"
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value:.12g}" if inside else f"{name} {value:.12g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
