"""Endpoints: the receivers that an administrator has set up, each with a secret, which is kept encrypted."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from async_job.core.submission import check_name
from async_job.errors import EndpointExists, EndpointNotFound, InvalidOptions
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.signing import key_of, new_secret
from async_job.webhooks.url import wrong_url
from async_job.webhooks.vault import Vault

KIND: Final = "endpoint"
"""The kind of its documents in the store."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """``secret`` is encrypted. Nothing is sent to one that is not ``enabled``: it has answered 410."""

    name: str
    url: str
    secret: str
    created_at: int
    enabled: bool = True


_decode = msgspec.json.Decoder(Endpoint).decode


class Endpoints:
    """Those of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def add(self, name: str, url: str, secret: str | None = None) -> tuple[Endpoint, str]:
        """The new endpoint, and its secret as the receiver needs it; without one given, one is made.

        Raises:
            InvalidOptions: one of them cannot be.
            EndpointExists: the name is taken.
            SettingsError: there is no key to encrypt the secret with.
        """
        check_name("name", name)
        reason = wrong_url(url, self._settings)
        if reason is not None:
            raise InvalidOptions(f"url: {reason}", "url")
        secret = secret or new_secret()
        key_of(secret)
        sealed = Vault(self._settings.webhook_key).seal(secret)
        if name in await self._store.administration.documents(KIND):
            raise EndpointExists(name)
        endpoint = Endpoint(name=name, url=url, secret=sealed, created_at=self._store.now())
        await self._put(endpoint)
        return endpoint, secret

    async def all(self) -> list[Endpoint]:
        """By name."""
        found = await self._store.administration.documents(KIND)
        return [_decode(found[name]) for name in sorted(found)]

    async def get(self, name: str) -> Endpoint:
        """Raises ``EndpointNotFound``."""
        found = (await self._store.administration.documents(KIND)).get(name)
        if found is None:
            raise EndpointNotFound(name)
        return _decode(found)

    async def remove(self, name: str) -> None:
        """What is on its way to it is given up. Raises ``EndpointNotFound``."""
        if not await self._store.administration.delete_document(KIND, name):
            raise EndpointNotFound(name)

    async def disable(self, endpoint: Endpoint) -> None:
        """Sends it nothing more; unless it is another one by now."""
        if endpoint in await self.all():
            await self._put(replace(endpoint, enabled=False))

    async def _put(self, endpoint: Endpoint) -> None:
        await self._store.administration.put_document(KIND, endpoint.name, msgspec.json.encode(endpoint))
