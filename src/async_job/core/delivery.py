"""A webhook's delivery: what is to be told, to whom, and when the next try is. All times are milliseconds."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
SCHEDULE: Final = (5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR)
"""How long to wait after each try that failed; after the last one it is given up. Published in the docs."""
GONE: Final = 410


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class Delivery(Struct, frozen=True, kw_only=True):
    """One message for one target.

    ``id`` is the ``webhook-id`` that the receiver sees, the same for each try. ``event`` is ``job.`` and the state that
    the job came to. ``target`` is the name of an endpoint, or a URL. ``due_at`` is the time of the next try.
    ``status`` and ``problem`` tell of the last one: the HTTP status (``None``: no answer), and what was wrong.
    """

    id: str
    job_id: str
    event: str
    target: str
    created_at: int
    due_at: int
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    status: int | None = None
    problem: str = ""
    tried_at: int | None = None


def delivery_of(job_id: str, version: int, target: str, state: str, now: int) -> Delivery:
    """The message that a job has come to its end. ``version`` is the one that this was decided on: by it the ends of a
    job that is retried within a millisecond have messages of their own."""
    id = f"msg_{job_id}_{now}_{version}"
    return Delivery(id=id, job_id=job_id, event=f"job.{state}", target=target, created_at=now, due_at=now)


def job_of(id: str) -> str:
    """The job that the message under this id is about; empty if it cannot be such an id."""
    prefix, _, rest = id.partition("_")
    return rest.partition("_")[0] if prefix == "msg" else ""


def after_try(delivery: Delivery, status: int | None, problem: str, now: int) -> Delivery:
    """What follows from a try: delivered by any 2xx, given up by 410 or after the last try, else the next one."""
    tried = replace(delivery, tries=delivery.tries + 1, status=status, problem=problem, tried_at=now)
    if status is not None and 200 <= status < 300:
        return replace(tried, state=DeliveryState.DELIVERED)
    if status == GONE or tried.tries > len(SCHEDULE):
        return replace(tried, state=DeliveryState.GIVEN_UP)
    return replace(tried, due_at=now + SCHEDULE[tried.tries - 1])


def give_up(delivery: Delivery, problem: str, now: int) -> Delivery:
    """Without another try, because none could succeed."""
    return replace(delivery, state=DeliveryState.GIVEN_UP, status=None, problem=problem, tried_at=now)


def replayed(delivery: Delivery, now: int) -> Delivery:
    """The delivery as it was when new: its tries begin again."""
    return replace(delivery, state=DeliveryState.PENDING, tries=0, due_at=now)
