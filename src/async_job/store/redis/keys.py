"""The names of all keys. Jobs lie under ``async-job:``, everything else under the other root ``async-job.sys:``,
so that no made-up job id reaches anything that is not a job."""

from __future__ import annotations

import re
from typing import Final

from async_job.core.job import FINISHED, State
from async_job.errors import SettingsError
from async_job.store.protocol import Index

DEFAULT_NAMESPACE: Final = "async-job"
SYSTEM: Final = ".sys"
NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Keys:
    """``indexes`` are the keys that every script is given first, in this order; ``lua/shared.lua`` names them."""

    def __init__(self, namespace: str = DEFAULT_NAMESPACE) -> None:
        if not NAMESPACE.fullmatch(namespace) or namespace.endswith(SYSTEM):
            raise SettingsError(
                f"namespace {namespace!r}: use 1 to 64 of the letters A-Z a-z 0-9 _ . - (and not {SYSTEM!r} at the end)"
            )
        self.jobs = f"{namespace}:"
        self.root = f"{namespace}{SYSTEM}:"
        self.scheduled = self.root + "scheduled"
        self.deadlines = self.root + "deadlines"
        self.running = self.root + "running"
        self.leases = self.root + "leases"
        self.changes = self.root + "changes"
        self.changed = self.root + "changed"
        self.queues = self.root + "queues"
        self.paused = self.root + "paused"
        self.started = self.root + "started"
        self.deliveries = self.root + "deliveries"
        self.deliveries_due = self.root + "deliveries:due"
        self.deliveries_recent = self.root + "deliveries:recent"
        self.finished = {state: f"{self.root}finished:{state}" for state in State if state in FINISHED}
        self.schema = self.root + "schema"
        self.health = self.root + "health"
        self.indexes: tuple[str, ...] = (
            *(self.scheduled, self.deadlines, self.running, self.leases, self.changes, self.changed, self.queues),
            *self.finished.values(),
        )

    def job(self, id: str) -> str:
        return self.jobs + id

    def queue(self, name: str) -> str:
        return f"{self.root}queue:{name}"

    def wake(self, queue: str) -> str:
        return f"{self.root}wake:{queue}"

    def index(self, index: Index) -> str:
        """The sorted set that holds the jobs of an index."""
        if index.state is State.QUEUED:
            return self.queue(index.queue)
        if index.state is State.SCHEDULED:
            return self.scheduled
        return self.running if index.state is State.RUNNING else self.finished[index.state]

    def worker(self, id: str) -> str:
        return f"{self.root}worker:{id}"

    def claims(self, worker: str) -> str:
        return f"{self.root}claims:{worker}"

    def unique(self, type: str, key: str) -> str:
        # A colon within the type must not look like the one behind it.
        return f"{self.root}unique:{type.replace('%', '%25').replace(':', '%3A')}:{key}"

    def idempotency(self, name: str) -> str:
        return f"{self.root}idempotency:{name}"

    def log(self, id: str) -> str:
        return f"{self.root}log:{id}"

    def deliveries_of(self, id: str) -> str:
        return f"{self.root}deliveries:of:{id}"

    def documents(self, kind: str) -> str:
        return f"{self.root}documents:{kind}"
