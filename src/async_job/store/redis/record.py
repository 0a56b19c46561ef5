"""A job as the fields of a hash: flat, readable, and without what is at its default.

The first three fields make the hash an entry of .NET's ``IDistributedCache``: ``absexp`` and ``sldexp`` (no expiry)
and ``data``, the original's word for the state. ``data`` is written in the same command as the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from async_job.core.delivery import Delivery, DeliveryState
from async_job.core.job import ORIGINAL_WORD, Change, Job, State
from async_job.errors import StoreBroken
from async_job.store import codec

NO_EXPIRY: Final = -1
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

JSON_FIELDS: Final = frozenset({"labels", "progress", "error", "attempts"})

DEFAULTS: Final[dict[str, Any]] = {
    field.name: {} if field.default_factory is not msgspec.NODEFAULT else field.default
    for field in msgspec.structs.fields(Job)
    if not field.required
} | {"input": EMPTY_INPUT}
del DEFAULTS["reason"]
"""What is left out when it has this value."""

USUAL_REASON: Final = {
    State.SCHEDULED: "submitted",
    State.QUEUED: "submitted",
    State.RUNNING: "claimed",
    State.SUCCEEDED: "succeeded",
    State.CANCELLED: "cancelled",
    State.EXPIRED: "expired",
}


def _usual(name: str, get: Callable[[str], Any]) -> Any:
    """What a field that is left out stands for, by the job's other fields: the reason by the state, the time of the
    last change by that of the last step, the time to start by that of creation."""
    if name == "reason":
        return USUAL_REASON.get(get("state"))
    if name == "updated_at":
        return get("finished_at") or get("started_at") or get("created_at")
    if name == "scheduled_for":
        return get("created_at")
    return DEFAULTS.get(name, msgspec.UNSET)


def _write(name: str, value: Any) -> Field:
    if name in JSON_FIELDS:
        return codec.encode(value)
    return int(value) if isinstance(value, bool) else value


def encode(job: Job) -> list[Field]:
    """The fields of a job that is new in the store, names and values in turn."""
    fields: list[Field] = ["absexp", NO_EXPIRY, "sldexp", NO_EXPIRY, "data", ORIGINAL_WORD[job.state]]
    fields += ("type", job.type, "state", job.state, "created_at", job.created_at)
    for name in ("scheduled_for", "updated_at", "reason"):
        value = getattr(job, name)
        if value != _usual(name, partial(getattr, job)):
            fields += (name, value)
    for name, default in DEFAULTS.items():
        value = getattr(job, name)
        if value != default:
            fields += (name, _write(name, value))
    return fields


def encode_change(change: Change) -> tuple[list[Field], list[str], list[str]]:
    """What a change writes: fields to set (names and values in turn), fields to drop because they are left out from now
    on, and more to drop in case the stored job is no longer the one that the decision saw."""
    set_fields: list[Field] = ["data", ORIGINAL_WORD[change.state]]
    drop: list[str] = []
    maybe_drop: list[str] = []
    before = partial(getattr, change.job)
    for name, value in change.fields.items():
        if value != _usual(name, change.get):
            set_fields += (name, _write(name, value))
        elif before(name) != _usual(name, before):
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
        for at in range(0, len(flat), 2):
            known = READ_BY_KEY.get(flat[at])
            if known is not None:
                values[known[0]] = known[1](flat[at + 1])
        if "state" not in values or "type" not in values:
            return None
        values.update(overrides)
        for name in ("scheduled_for", "updated_at", "reason"):
            if name not in values:
                values[name] = _usual(name, values.get)
        return Job(**values)
    except (ValueError, KeyError) as error:
        raise StoreBroken(f"job {id} cannot be read: {error!r}; run `async-job check`") from error
