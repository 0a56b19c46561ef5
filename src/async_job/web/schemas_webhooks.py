"""The JSON of webhooks: their endpoints and deliveries."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from async_job.core.delivery import Delivery, DeliveryState
from async_job.core.submission import NAME
from async_job.job_view import time
from async_job.webhooks.endpoints import Endpoint


class NewEndpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """``secret``: ``whsec_`` and base64, as the receiver has it; without it one is made."""

    name: Annotated[str, Meta(extra_json_schema={"pattern": f"^{NAME.pattern}$"})]
    url: str
    secret: str | None = None


class EndpointView(Struct, frozen=True, kw_only=True):
    """An endpoint that has answered 410 is no longer ``enabled``."""

    name: str
    url: str
    enabled: bool
    created_at: str


class AddedEndpoint(EndpointView, frozen=True, kw_only=True):
    """With the secret for the receiver, which is shown this once."""

    secret: str


class EndpointList(Struct, frozen=True):
    items: list[EndpointView]


class DeliveryQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """``job``: only the deliveries of this job."""

    job: str | None = None


class DeliveryView(Struct, frozen=True, kw_only=True):
    """``id`` is the ``webhook-id`` of its messages. ``status`` and ``problem`` tell of the last try, ``status`` without
    a value of one that was not answered. ``next_try_at`` has a value while it is pending."""

    id: str
    job: str
    event: str
    target: str
    state: DeliveryState
    tries: int
    status: int | None
    problem: str
    created_at: str
    tried_at: str | None
    next_try_at: str | None


class DeliveryList(Struct, frozen=True):
    items: list[DeliveryView]


def view_endpoint(endpoint: Endpoint) -> EndpointView:
    return EndpointView(
        name=endpoint.name, url=endpoint.url, enabled=endpoint.enabled, created_at=time(endpoint.created_at)
    )


def view_added(endpoint: Endpoint, secret: str) -> AddedEndpoint:
    view = view_endpoint(endpoint)
    return AddedEndpoint(name=view.name, url=view.url, enabled=view.enabled, created_at=view.created_at, secret=secret)


def view_delivery(delivery: Delivery) -> DeliveryView:
    pending = delivery.state is DeliveryState.PENDING
    return DeliveryView(
        id=delivery.id,
        job=delivery.job_id,
        event=delivery.event,
        target=delivery.target,
        state=delivery.state,
        tries=delivery.tries,
        status=delivery.status,
        problem=delivery.problem,
        created_at=time(delivery.created_at),
        tried_at=None if delivery.tried_at is None else time(delivery.tried_at),
        next_try_at=time(delivery.due_at) if pending else None,
    )
