"""Compares the jobs of a memory store with its indexes, and makes those anew."""

from __future__ import annotations

from msgspec.structs import replace

from async_job.core.job import State
from async_job.store.memory.index import Index
from async_job.store.memory.table import Holding, Table
from async_job.store.protocol import Finding, Worker


def check_table(table: Table) -> list[Finding]:
    """What is not as promised: the indexes are built anew from the jobs, and compared."""
    fresh = Table()
    fresh.workers = {id: Holding(known.worker, known.lease_end) for id, known in table.workers.items()}
    findings = []
    for job in table.jobs.values():
        if job.state is State.RUNNING and job.worker not in fresh.workers:
            findings.append(Finding(job.id, f"running under {job.worker}, which is not known"))
            continue
        fresh.enter(job)
        unique = job.unique_key is not None and not job.done
        if unique and table.unique.get((job.type, job.unique_key or "")) != job.id:
            findings.append(Finding(job.id, "live, but its unique key is not its own"))
    return findings + _differences(table, fresh)


def _differences(table: Table, fresh: Table) -> list[Finding]:
    findings = []
    for name, index, wanted in _pairs(table, fresh):
        findings += [Finding(id, f"is in {name} and should not be") for _, id in index.pairs() - wanted.pairs()]
        findings += [Finding(id, f"is missing in {name}") for _, id in wanted.pairs() - index.pairs()]
    for id, known in table.workers.items():
        wrong = known.held.keys() ^ fresh.workers[id].held.keys()
        findings += [Finding(job, f"held by worker {id} in one place only") for job in wrong]
    for (type, key), holder in table.unique.items():
        if holder not in table.jobs or table.jobs[holder].done:
            findings.append(Finding(holder, f"holds the unique key {type}/{key} and is not live"))
    orphans = [delivery for delivery in table.deliveries.values() if delivery.job_id not in table.jobs]
    findings += [Finding(delivery.job_id, f"is gone, but not its delivery {delivery.id}") for delivery in orphans]
    return findings


def _pairs(table: Table, fresh: Table) -> list[tuple[str, Index, Index]]:
    """Each index as it is and as it should be, with its name."""
    pairs = [
        ("scheduled", table.scheduled, fresh.scheduled),
        ("deadlines", table.deadlines, fresh.deadlines),
        ("kept", table.kept, fresh.kept),
    ]
    for name in table.queues.keys() | fresh.queues.keys():
        pairs.append((f"queue {name}", table.queues.get(name, Index()), fresh.queues.get(name, Index())))
    for state in table.ended.keys() | fresh.ended.keys():
        pairs.append((str(state), table.ended.get(state, Index()), fresh.ended.get(state, Index())))
    return pairs


def repair_table(table: Table) -> None:
    """Takes the indexes from the jobs."""
    for job in table.jobs.values():
        if job.state is State.RUNNING and job.worker not in table.workers:
            # As a retired one, whose jobs are taken over.
            gone = Worker(id=job.worker, host="", pid=0, started_at=0, queues=(), concurrency=0)
            table.workers[job.worker] = Holding(gone, 0)
    for known in table.workers.values():
        known.held.clear()
    table.queues, table.scheduled, table.deadlines, table.kept, table.ended = {}, Index(), Index(), Index(), {}
    table.unique, table.due_deliveries = {}, Index()
    for job in list(table.jobs.values()):
        table.enter(job)
        if job.unique_key is None or job.done:
            continue
        holder = table.unique.setdefault((job.type, job.unique_key), job.id)
        if holder != job.id:
            table.jobs[job.id] = replace(job, unique_key=None)
    for delivery in list(table.deliveries.values()):
        del table.deliveries[delivery.id]
        if delivery.job_id in table.jobs:
            table.put_delivery(delivery)
