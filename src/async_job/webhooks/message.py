"""The body of a message: what happened, when, and the job as it is now."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from async_job.core.delivery import Delivery
from async_job.core.job import Job
from async_job.job_view import JobView, time, view_job
from async_job.webhooks.masking import masked_json, masked_labels


class Message(Struct, frozen=True):
    """As Standard Webhooks has it. ``timestamp``: when the job came to its end."""

    type: str
    timestamp: str
    data: JobView


def body_of(delivery: Delivery, job: Job) -> bytes:
    shown = replace(
        job,
        input=masked_json(job.input),
        result=None if job.result is None else masked_json(job.result),
        labels=masked_labels(job.labels),
    )
    return msgspec.json.encode(Message(delivery.event, time(delivery.created_at), view_job(shown, root="")))
