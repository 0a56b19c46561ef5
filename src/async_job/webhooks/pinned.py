"""Connections to the very address that was checked: a name that is looked up twice may lead to another one."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Final, Self, cast

import httpcore

from async_job.webhooks.address import Resolve, checked_addresses

MOST_ADDRESSES: Final = 4
"""So many addresses of a name are tried."""


class PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Looks a name up, checks what comes, and connects to that; TLS keeps the name. ``async with`` closes what it has
    opened, also where a cancel in the middle of a TLS handshake leaves it behind."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        # httpcore has another class of this name for those without anyio, which type checkers cannot rule out.
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for stream in self._opened:
            await stream.aclose()

    def connection(self, url: str, tls: ssl.SSLContext) -> httpcore.AsyncHTTPConnection:
        """One to the host of the URL, not open yet."""
        return httpcore.AsyncHTTPConnection(httpcore.URL(url).origin, ssl_context=tls, network_backend=self)

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
                stream = await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
            else:
                self._opened.append(stream)
                return stream
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
