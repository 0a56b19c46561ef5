"""What the commands of ``async-job webhooks`` do, on the store itself."""

from __future__ import annotations

import sys

import msgspec

from async_job.cli.output import Row, local_time, print_json, print_rows
from async_job.cli.store_access import say_where
from async_job.core.delivery import Delivery, DeliveryState
from async_job.jobs import Jobs
from async_job.web.schemas_webhooks import DeliveryList, EndpointList, view_delivery, view_endpoint
from async_job.webhooks import deliveries
from async_job.webhooks.endpoints import Endpoints
from async_job.webhooks.vault import Vault


async def add(jobs: Jobs, name: str, url: str, secret: str | None) -> str:
    """The secret for the receiver."""
    if secret == "-":
        secret = sys.stdin.readline().strip()
    async with jobs:
        _, made = await Endpoints(await jobs.store(), jobs.settings).add(name, url, secret)
    say_where(jobs)
    return made


async def remove(jobs: Jobs, name: str) -> None:
    async with jobs:
        await Endpoints(await jobs.store(), jobs.settings).remove(name)
    say_where(jobs)


async def list_endpoints(jobs: Jobs, *, as_json: bool) -> None:
    async with jobs:
        found = await Endpoints(await jobs.store(), jobs.settings).all()
    if as_json:
        print_json(msgspec.json.encode(EndpointList([view_endpoint(endpoint) for endpoint in found])))
    else:
        rows = [
            (one.name, one.url, "enabled" if one.enabled else "disabled", local_time(one.created_at)) for one in found
        ]
        print_rows(("name", "url", "state", "added"), rows)


def secrets_of(jobs: Jobs, url: str) -> list[str]:
    """One for each key of the setting, the newest first."""
    return Vault(jobs.settings.webhook_key).secrets_of(url)


async def list_deliveries(jobs: Jobs, job: str | None, *, as_json: bool) -> None:
    async with jobs:
        found = await deliveries.find(await jobs.store(), job)
    if as_json:
        print_json(msgspec.json.encode(DeliveryList([view_delivery(delivery) for delivery in found])))
    else:
        print_rows(("id", "event", "target", "state", "tries", "last problem"), [_row(one) for one in found])


async def replay(jobs: Jobs, id: str) -> None:
    async with jobs:
        await deliveries.replay(await jobs.store(), id)
    say_where(jobs)


def _row(delivery: Delivery) -> Row:
    state = str(delivery.state)
    if delivery.state is DeliveryState.PENDING:
        state += f" until {local_time(delivery.due_at)}"
    return delivery.id, delivery.event, delivery.target, state, str(delivery.tries), delivery.problem
