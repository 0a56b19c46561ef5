"""Sends messages: one try for each delivery that is due, and what follows from it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.metadata import version
from typing import Final, cast
from urllib.parse import urlsplit

import httpcore
from msgspec import Struct

from async_job.core.delivery import GONE, Delivery, DeliveryState, after_try, give_up
from async_job.core.job import Job
from async_job.errors import AddressRefused, EndpointNotFound, InvalidOptions, UsageError
from async_job.logs import get_logger
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.address import Resolve, resolve
from async_job.webhooks.endpoints import Endpoint, Endpoints
from async_job.webhooks.message import body_of
from async_job.webhooks.pinned import PinnedNetwork
from async_job.webhooks.signing import signed
from async_job.webhooks.targets import is_url
from async_job.webhooks.url import wrong_url
from async_job.webhooks.vault import Vault

TIMEOUT: Final = 10.0
"""Seconds for all of a try, from looking up the name to the end of the answer."""
READ_AT_MOST: Final = 4_096
"""Bytes of an answer. Nothing is done with them, but a receiver that says a few words is heard out."""
LONGEST_PROBLEM: Final = 500

log = get_logger()


class Receiver(Struct, frozen=True):
    """Where a message goes, and the secrets that it is signed with. ``endpoint``: unless a job named the URL."""

    url: str
    secrets: list[str]
    endpoint: Endpoint | None = None


class Outcome(Struct, frozen=True):
    """The status of the answer (``None``: there was none), and what was wrong."""

    status: int | None
    problem: str = ""


class Sender:
    """Each try has a connection of its own. It follows no redirects, and asks no proxy of the environment."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._store = store
        self._settings = settings
        self._timeout = timeout
        self._endpoints = Endpoints(store, settings)
        self._agent = f"async-job/{version('async-job')}".encode()
        self._resolve = resolve
        # The system's certificates, or those of SSL_CERT_FILE.
        self._tls = tls or ssl.create_default_context()

    async def deliver(self, delivery: Delivery) -> Delivery:
        """Tries once and writes down what came of it, unless it was replayed meanwhile. Who dies in between is followed
        by another who tries again."""
        tried = await self.attempt(delivery)
        await self._store.outbox.settle([tried], [delivery])
        _tell(tried)
        return tried

    async def attempt(self, delivery: Delivery) -> Delivery:
        """Sends the message, and answers with what the delivery is by that."""
        [job] = await self._store.get([delivery.job_id])
        if job is None:
            return give_up(delivery, "the job is no longer kept", self._store.now())
        try:
            receiver = await self._receiver(delivery.target)
        except EndpointNotFound as error:
            return give_up(delivery, str(error), self._store.now())
        except UsageError as error:
            # A setting is wrong, and may be right by the next time.
            return after_try(delivery, None, str(error), self._store.now())
        if receiver.endpoint is not None and not receiver.endpoint.enabled:
            problem = f"the endpoint is disabled: it has answered {GONE}; remove it and add it again"
            return give_up(delivery, problem, self._store.now())
        outcome = await self._post(receiver, delivery, job)
        if outcome.status == GONE and receiver.endpoint is not None:
            await self._endpoints.disable(receiver.endpoint)
        return after_try(delivery, outcome.status, outcome.problem, self._store.now())

    async def _receiver(self, target: str) -> Receiver:
        """Raises ``EndpointNotFound``, and ``UsageError`` when the settings do not allow it."""
        endpoint = None if is_url(target) else await self._endpoints.get(target)
        url = target if endpoint is None else endpoint.url
        reason = wrong_url(url, self._settings)
        if reason is not None:
            raise InvalidOptions(reason, "webhook")
        vault = Vault(self._settings.webhook_key)
        return Receiver(url, vault.secrets_of(url) if endpoint is None else [vault.unseal(endpoint.secret)], endpoint)

    async def _post(self, receiver: Receiver, delivery: Delivery, job: Job) -> Outcome:
        status: int | None = None
        problem = ""
        try:
            body = body_of(delivery, job)
            headers = [
                (b"host", urlsplit(receiver.url).netloc.encode()),
                (b"content-type", b"application/json"),
                (b"user-agent", self._agent),
                (b"connection", b"close"),
                *signed(delivery.id, self._store.now(), body, receiver.secrets),
            ]
            async with (
                asyncio.timeout(self._timeout),
                PinnedNetwork(self._resolve, allow_private=self._settings.webhook_allow_private) as network,
                network.connection(receiver.url, self._tls) as connection,
                connection.stream("POST", receiver.url, headers=headers, content=body) as response,
            ):
                status = response.status
                await _skim(response)
        except TimeoutError:
            problem = f"no answer within {self._timeout:g} s"
        except AddressRefused as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a receiver does, it is a try that has failed
            problem = f"{type(error).__name__}: {error}"[:LONGEST_PROBLEM]
        return Outcome(None, problem) if status is None else _outcome_of(status)


async def _skim(response: httpcore.Response) -> None:
    size = 0
    async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_stream())) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size >= READ_AT_MOST:
                return


def _outcome_of(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status)
    if 300 <= status < 400:
        return Outcome(status, f"answered {status}; redirects are not followed")
    return Outcome(status, f"answered {status}")


def _tell(delivery: Delivery) -> None:
    # Of a URL only what leads to it: its query may hold a key.
    about = {
        "delivery": delivery.id,
        "target": delivery.target.partition("?")[0],
        "tries": delivery.tries,
        "problem": delivery.problem,
    }
    if delivery.state is DeliveryState.GIVEN_UP:
        log.warning("a webhook was given up", **about)
    elif delivery.state is DeliveryState.PENDING:
        log.info("a webhook was not delivered; it is tried again", **about)
