"""The JSON that ``/v1`` takes for a job."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct, field

from async_job.core.submission import (
    ATTEMPTS,
    LONGEST_DELAY,
    LONGEST_KEY,
    LONGEST_LABEL,
    MOST_LABELS,
    NAME,
    PRIORITIES,
    OnConflict,
    Options,
)


def _told(description: str, **schema: Any) -> Meta:
    """For the schema alone: what an option may be is checked where jobs are made, for all callers alike."""
    return Meta(description=description, extra_json_schema=schema)


NAMED: Final = {"pattern": f"^{NAME.pattern}$"}
Seconds = Annotated[float, Meta(extra_json_schema={"minimum": 0.001, "maximum": LONGEST_DELAY})]


class Submission(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/jobs``. Durations are seconds."""

    type: Annotated[str, _told("The function's name.")]
    input: Annotated[Raw, _told("The function's arguments by name.")] = field(default_factory=partial(Raw, b"{}"))
    queue: Annotated[Annotated[str, Meta(extra_json_schema=NAMED)] | None, _told("Instead of the function's own.")] = (
        None
    )
    priority: Annotated[
        int,
        _told("Higher first; one step is worth a minute of waiting.", minimum=PRIORITIES[0], maximum=PRIORITIES[-1]),
    ] = 0
    delay: Annotated[
        Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": LONGEST_DELAY})] | None,
        _told("Seconds to wait before it may start. Not together with run_at."),
    ] = None
    run_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, _told("When it may start, at most ten years from now.")
    ] = None
    start_within: Annotated[
        Seconds | None, _told("It expires if it has not started so many seconds after it could.")
    ] = None
    timeout: Annotated[Seconds | None, _told("Seconds for each attempt.")] = None
    max_attempts: Annotated[
        Annotated[int, Meta(extra_json_schema={"minimum": ATTEMPTS[0], "maximum": ATTEMPTS[-1]})] | None,
        _told("How often it is tried."),
    ] = None
    unique_key: Annotated[
        Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_KEY})] | None,
        _told("At most one live job of the type has it. Printable characters."),
    ] = None
    on_conflict: Annotated[OnConflict, _told("What to do when a live job has the unique key.")] = (
        OnConflict.RETURN_EXISTING
    )
    labels: Annotated[
        dict[str, Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_LABEL})]],
        _told("Names and values to find it by.", maxProperties=MOST_LABELS, propertyNames=NAMED),
    ] = {}
    webhook: Annotated[str | None, _told("An endpoint's name, or a URL, to tell of its end.")] = None

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
