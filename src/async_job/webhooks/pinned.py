"""Connections to the very address that was checked: a name that is looked up twice may lead to another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import httpcore

from async_job.webhooks.address import Resolve, checked_addresses

MOST_ADDRESSES: Final = 4
"""So many addresses of a name are tried."""


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Looks a name up once, checks what comes, and connects to that. TLS and the ``Host`` header keep the name."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises ``AddressRefused``, or ``OSError`` when the name is not known."""
        failure: httpcore.ConnectError | None = None
        for address in (await checked_addresses(host, port, self._resolve, self._allow_private))[:MOST_ADDRESSES]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
