"""The handlers with which an administrator sets up webhooks and looks after their deliveries."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope

from async_job.errors import SettingsError
from async_job.jobs import Jobs
from async_job.web.answer import Answer, json_answer
from async_job.web.body import decode, read_json
from async_job.web.handlers.lists import convert_query, query_pairs
from async_job.web.problems import Problem
from async_job.web.request import GUID
from async_job.web.schemas_webhooks import (
    DeliveryList,
    DeliveryQuery,
    EndpointList,
    NewEndpoint,
    view_added,
    view_delivery,
    view_endpoint,
)
from async_job.webhooks.deliveries import find, replay
from async_job.webhooks.endpoints import Endpoints

decode_endpoint = msgspec.json.Decoder(NewEndpoint).decode


class Webhooks:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def endpoints(self, scope: Scope, receive: Receive) -> Answer:
        """All webhook endpoints, by name."""
        endpoints = await (await self._endpoints()).all()
        return json_answer(EndpointList([view_endpoint(endpoint) for endpoint in endpoints]))

    async def add(self, scope: Scope, receive: Receive) -> Answer:
        """Adds a webhook endpoint. Its secret is in this answer, and in no other."""
        settings = self._jobs.settings
        given = decode(decode_endpoint, await read_json(scope, receive, settings.max_body, settings.body_deadline))
        try:
            endpoint, secret = await (await self._endpoints()).add(given.name, given.url, given.secret)
        except SettingsError as error:
            raise Problem(409, "webhooks_not_set_up", str(error)) from error
        return json_answer(view_added(endpoint, secret), 201)

    async def remove(self, scope: Scope, receive: Receive) -> Answer:
        """Removes a webhook endpoint. What is on its way to it is given up."""
        await (await self._endpoints()).remove(scope["path_params"]["name"])
        return Answer(204, [])

    async def deliveries(self, scope: Scope, receive: Receive) -> Answer:
        """The newest webhook deliveries, or with ``job`` all of that job; newest first."""
        job = convert_query(query_pairs(scope), DeliveryQuery).job
        store = await self._jobs.store()
        if job is not None and not GUID.fullmatch(job.lower()):
            return json_answer(DeliveryList([]))
        found = await find(store, job and job.lower())
        return json_answer(DeliveryList([view_delivery(delivery) for delivery in found]))

    async def replay(self, scope: Scope, receive: Receive) -> Answer:
        """Has a webhook delivery sent again, as if it were new and under the same id."""
        delivery = await replay(await self._jobs.store(), scope["path_params"]["id"])
        return json_answer(view_delivery(delivery), 202)

    async def _endpoints(self) -> Endpoints:
        return Endpoints(await self._jobs.store(), self._jobs.settings)
