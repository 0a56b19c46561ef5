"""The JSON that ``/v1`` takes for a job."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from async_job.core.submission import OnConflict, Options


class Submission(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/jobs``. Durations are seconds."""

    type: str
    input: Raw = field(default_factory=partial(Raw, b"{}"))
    queue: str | None = None
    priority: int = 0
    delay: float | None = None
    run_at: Annotated[datetime, Meta(tz=True)] | None = None
    start_within: float | None = None
    timeout: float | None = None
    max_attempts: int | None = None
    unique_key: str | None = None
    on_conflict: OnConflict = OnConflict.RETURN_EXISTING
    labels: dict[str, str] = {}
    webhook: str | None = None

    @property
    def options(self) -> Options:
        return Options(
            queue=self.queue,
            priority=self.priority,
            delay=self.delay,
            run_at=None if self.run_at is None else round(self.run_at.timestamp() * 1000),
            start_within=self.start_within,
            timeout=self.timeout,
            max_attempts=self.max_attempts,
            unique_key=self.unique_key,
            on_conflict=self.on_conflict,
            labels=self.labels,
            webhook=self.webhook,
        )
