"""A job as the server's JSON shows it, as far as the commands say something about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self

import msgspec
from msgspec import Struct

from async_job.errors import ServerError


class ProgressView(Struct):
    current: float | None = None
    total: float | None = None
    percent: float | None = None
    message: str | None = None


class ErrorView(Struct):
    kind: str
    message: str
    type: str = ""
    traceback: str = ""


class JobView(Struct, kw_only=True):
    """``text`` is the whole object, as it was sent."""

    id: str
    type: str
    state: str
    done: bool
    version: int
    queue: str = ""
    reason: str = ""
    attempt: int = 0
    progress: ProgressView | None = None
    created_at: datetime | None = None
    scheduled_for: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    kept_until: datetime | None = None
    cancel_requested_at: datetime | None = None
    result: Any = None
    error: ErrorView | None = None
    text: bytes = b""

    @classmethod
    def of(cls, text: bytes) -> Self:
        """Raises ``ServerError`` when it is no job."""
        try:
            view = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ServerError(f"the server answered with something that is no job ({error})") from error
        view.text = text
        return view

    @property
    def seconds(self) -> float | None:
        """How long the last run has taken so far, or took."""
        if self.started_at is None:
            return None
        return ((self.finished_at or datetime.now(UTC)) - self.started_at).total_seconds()

    @property
    def outcome(self) -> str:
        """The state in one line: with the error, if there is one, or what the job says of itself."""
        if self.error is not None and self.state != "succeeded":
            message = " ".join(self.error.message.split())
            name = self.error.type or self.error.kind
            # An end that is nobody's error has the state's own name, and may begin its message with it.
            parts = [part for part in (self.state, name, message) if part != self.state]
            return message if message.startswith(self.state) else ": ".join([self.state, *parts])
        if self.cancel_requested_at is not None and not self.done:
            return f"{self.state}, asked to cancel"
        return self.state

    @property
    def created(self) -> str:
        """When, for people."""
        return "" if self.created_at is None else _local(self.created_at)

    @property
    def place(self) -> str:
        """Where the error was raised: the innermost line of its traceback; empty if there is none."""
        lines = self.error.traceback.splitlines() if self.error is not None else []
        return next((line.strip() for line in reversed(lines) if line.startswith("  File ")), "")

    @property
    def doing(self) -> str:
        """How far it has come, in words; empty if it does not say."""
        progress = self.progress
        if progress is None:
            return ""
        parts = []
        if progress.percent is not None:
            parts.append(f"{progress.percent:.0f} %")
        elif progress.current is not None:
            parts.append(f"{progress.current:g}")
        if progress.message:
            parts.append(progress.message)
        return " ".join(parts)

    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, as names and values."""
        rows = [("id", self.id), ("type", self.type), ("queue", self.queue), ("state", self.outcome)]
        if self.place and self.state != "succeeded":
            rows.append(("raised in", self.place))
        if self.reason:
            rows.append(("reason", self.reason))
        if self.doing:
            rows.append(("progress", self.doing))
        if self.attempt:
            rows.append(("attempt", f"{self.attempt}"))
        times = [
            ("created", self.created_at),
            ("due", self.scheduled_for if self.state == "scheduled" else None),
            ("started", self.started_at),
            ("finished", self.finished_at),
            ("kept until", self.kept_until),
        ]
        rows += [(name, _local(at)) for name, at in times if at is not None]
        if self.done and self.seconds is not None:
            rows.append(("took", f"{self.seconds:.3g} s"))
        if self.state == "succeeded":
            rows.append(("result", msgspec.json.encode(self.result).decode()))
        return rows


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
