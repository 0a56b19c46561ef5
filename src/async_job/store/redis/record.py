"""A job as the fields of a hash: flat, readable, and without what is at its default.

The scripts add three fields that make the hash an entry of .NET's ``IDistributedCache``: ``absexp`` and ``sldexp`` (no
expiry) and ``data``, the original's word for the state, written in the same command as the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from async_job.core.delivery import Delivery, DeliveryState
from async_job.core.job import Change, Job, State
from async_job.errors import Unreadable
from async_job.store import codec

EMPTY_INPUT: Final = b"{}"

Field = str | bytes | int


def text(raw: bytes) -> str:
    # Half a surrogate pair comes back as it was sent.
    return raw.decode("utf-8", "surrogatepass")


def _flag(raw: bytes) -> bool:
    return raw == b"1"


STATES: Final = {state.encode(): state for state in State}

READ: Final[dict[str, Callable[[bytes], Any]]] = {
    "type": text,
    "state": STATES.__getitem__,
    "created_at": int,
    "scheduled_for": int,
    "updated_at": int,
    "input": bytes,
    "reason": text,
    "version": int,
    "queue": text,
    "priority": int,
    "attempt": int,
    "max_attempts": int,
    "failures": int,
    "max_crashes": int,
    "crashes": int,
    "suspect": _flag,
    "token": text,
    "timeout": int,
    "start_by": int,
    "started_at": int,
    "finished_at": int,
    "kept_until": int,
    "cancel_requested_at": int,
    "unique_key": text,
    "owner": text,
    "webhook": text,
    "labels": codec.decode_labels,
    "progress": codec.decode_progress,
    "result": bytes,
    "error": codec.decode_error,
    "attempts": codec.decode_attempts,
    "life": text,
    "logged": int,
}
READ_BY_KEY: Final = {name.encode(): (name, read) for name, read in READ.items()}

WRITE: Final[dict[str, Callable[[Any], Field]]] = {
    **dict.fromkeys(("labels", "progress", "error", "attempts"), codec.encode),
    "suspect": int,
}
"""How a field is written that is not text or a number."""

DEFAULTS: Final[dict[str, Any]] = {
    field.name: {} if field.default_factory is not msgspec.NODEFAULT else field.default
    for field in msgspec.structs.fields(Job)
    if not field.required
} | {"input": EMPTY_INPUT}
del DEFAULTS["reason"]
"""What is left out when it has this value."""

SUBMITTED: Final = {
    name: DEFAULTS[name]
    for name in (
        *("input", "queue", "priority", "max_attempts", "max_crashes", "suspect", "timeout", "start_by"),
        *("unique_key", "owner", "webhook", "labels"),
    )
}
"""What a submit can set; only changes write the rest."""
submitted_values: Final = attrgetter(*SUBMITTED)
USUALLY_SUBMITTED: Final = tuple(SUBMITTED.values())

USUAL_REASON: Final = {
    State.SCHEDULED: "submitted",
    State.QUEUED: "submitted",
    State.RUNNING: "claimed",
    State.SUCCEEDED: "succeeded",
    State.CANCELLED: "cancelled",
    State.EXPIRED: "expired",
}


def _usual(state: State, created_at: int, started_at: int | None, finished_at: int | None) -> dict[str, Any]:
    """What is left out when the job's other fields say it: the reason by the state, the time of the last change by
    that of the last step, the time to start by that of creation."""
    return {
        "reason": USUAL_REASON.get(state),
        "updated_at": finished_at or started_at or created_at,
        "scheduled_for": created_at,
    }


def encode(job: Job) -> list[Field]:
    """The fields of a job that is new in the store, names and values in turn, beside those that every job has: its
    script writes them."""
    fields: list[Field] = []
    if job.scheduled_for != job.created_at:
        fields += ("scheduled_for", job.scheduled_for)
    if job.updated_at != job.created_at:
        fields += ("updated_at", job.updated_at)
    values = submitted_values(job)
    if values != USUALLY_SUBMITTED:
        for (name, usual), value in zip(SUBMITTED.items(), values, strict=True):
            if value != usual:
                fields += (name, WRITE[name](value) if name in WRITE else value)
    return fields


def encode_change(change: Change) -> tuple[list[Field], list[str], list[str]]:
    """What a change writes beside the state: fields to set (names and values in turn), fields to drop because they are
    left out from now on, and more to drop in case the stored job is no longer the one that the decision saw."""
    set_fields: list[Field] = []
    drop: list[str] = []
    maybe_drop: list[str] = []
    job, fields = change.job, change.fields
    before = _usual(job.state, job.created_at, job.started_at, job.finished_at)
    started_at, finished_at = fields.get("started_at", job.started_at), fields.get("finished_at", job.finished_at)
    after = _usual(fields["state"], job.created_at, started_at, finished_at)
    for name, value in fields.items():
        if name == "state":
            continue
        usual = after[name] if name in after else DEFAULTS.get(name)
        if value != usual:
            set_fields += (name, WRITE[name](value) if name in WRITE else value)
        elif getattr(job, name) != before.get(name, usual):
            drop.append(name)
        else:
            maybe_drop.append(name)
    return set_fields, drop, maybe_drop


def encode_delivery(delivery: Delivery) -> tuple[Field, Field, Field, Field]:
    """A delivery as the scripts take it: id, time of creation, when it is due ('' unless it is pending), and JSON."""
    due: Field = delivery.due_at if delivery.state is DeliveryState.PENDING else ""
    return delivery.id, delivery.created_at, due, codec.encode(delivery)


def decode(id: str, flat: Sequence[bytes], **overrides: Any) -> Job | None:
    """The job of a hash read as names and values in turn; ``None`` when the hash is not there or holds no job.
    ``overrides`` are attributes that are known to be newer than what was read."""
    try:
        values: dict[str, Any] = {"id": id, "input": EMPTY_INPUT}
        parts = iter(flat)
        for key, raw in zip(parts, parts, strict=True):
            known = READ_BY_KEY.get(key)
            if known is not None:
                values[known[0]] = known[1](raw)
        if "state" not in values or "type" not in values:
            return None
        values.update(overrides)
        created_at = values["created_at"]
        values.setdefault("scheduled_for", created_at)
        if "updated_at" not in values:
            values["updated_at"] = values.get("finished_at") or values.get("started_at") or created_at
        if "reason" not in values:
            values["reason"] = USUAL_REASON.get(values["state"])
        return Job(**values)
    except (ValueError, KeyError) as error:
        raise Unreadable(f"job {id} cannot be read: {error!r}; run `async-job check`") from error
