"""Makes connections: to one host, to the first of several that answers and writes, or to the master of Sentinels."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ResponseError

from async_job.store.redis.connection_string import RedisAddress

CLIENT_NAME = "async-job"


class Connections:
    """redis-py's own retries are off, because it repeats without looking what it repeats; its timeouts too, because
    an exchange has one for the whole."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._turn = 0
        self._options: dict[str, Any] = {
            "username": address.user,
            "password": address.password,
            "db": address.database,
            "client_name": address.name or CLIENT_NAME,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": address.connect_timeout / 1000,
            "socket_keepalive": True,
        }
        if address.ssl:
            self._options |= {"ssl_cert_reqs": address.ssl_cert_reqs, "ssl_ca_certs": address.ssl_ca_certs}
        self._sentinels: list[Redis] = []
        self._masters: SentinelConnectionPool | None = None

    async def connect(self) -> AbstractConnection:
        connection = self._make()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            if self._address.service is None and len(self._address.hosts) > 1:
                await _refuse_replica(connection)
        except BaseException:
            self._turn += 1
            await connection.disconnect(nowait=True)
            raise
        return connection

    def _make(self) -> AbstractConnection:
        if self._address.service is not None:
            return self._master(self._address.service)
        host, port = self._address.hosts[self._turn % len(self._address.hosts)]
        kind = SSLConnection if self._address.ssl else Connection
        return kind(host=host, port=port, **self._options)

    def _master(self, service: str) -> AbstractConnection:
        if self._masters is None:
            timeout = self._address.connect_timeout / 1000
            asked = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
            sentinel = Sentinel(self._address.hosts, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
            self._sentinels = sentinel.sentinels
            options = self._options | {"ssl": self._address.ssl, "is_master": True}
            self._masters = SentinelConnectionPool(service, sentinel, **options)  # type: ignore[no-untyped-call]
        connection: AbstractConnection = self._masters.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def close(self) -> None:
        """Lets go of the Sentinels."""
        for client in self._sentinels:
            await client.aclose()


async def _refuse_replica(connection: AbstractConnection) -> None:
    """Of several hosts the one is wanted that writes."""
    await connection.send_command("ROLE")
    try:
        role: Any = await connection.read_response()
    except ResponseError:
        # This user may not ask, so whoever answers is taken.
        return
    if role[0] == b"slave":
        raise ConnectionError("it is a replica, and of the hosts that are given no other answers")
