"""A .NET program reads our statuses as entries of its own ``IDistributedCache``.

The replies are written here by hand, from the format that Microsoft.Extensions.Caching.StackExchangeRedis keeps: a hash
with ``absexp`` and ``sldexp`` (decimal ticks, or -1 for none) and ``data`` (the bytes of the string), which it reads
by ``HMGET <InstanceName><key> absexp sldexp data``.
"""

import socket
from collections.abc import AsyncIterator

import pytest

from async_job.core.job import Job, State
from async_job.core.lifecycle import CancelRequested, Failed, Overdue, Released, RetryRequested, Succeeded
from async_job.store.redis.store import RedisStore
from support.jobs import error, read, run, submit, tell
from support.servers import Server

pytestmark = pytest.mark.store("redis")

GUID = "018bcfe5-6800-7000-8000-000000000abc"

PENDING = b"*3\r\n$2\r\n-1\r\n$2\r\n-1\r\n$7\r\nPENDING\r\n"
STARTING = b"*3\r\n$2\r\n-1\r\n$2\r\n-1\r\n$8\r\nSTARTING\r\n"
COMPLETE = b"*3\r\n$2\r\n-1\r\n$2\r\n-1\r\n$8\r\nCOMPLETE\r\n"
FAILED = b"*3\r\n$2\r\n-1\r\n$2\r\n-1\r\n$6\r\nFAILED\r\n"
CANCELLED = b"*3\r\n$2\r\n-1\r\n$2\r\n-1\r\n$9\r\nCANCELLED\r\n"
EXPIRED = b"*3\r\n$2\r\n-1\r\n$2\r\n-1\r\n$7\r\nEXPIRED\r\n"
NOTHING = b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"


@pytest.fixture
async def store(redis_server: Server) -> AsyncIterator[RedisStore]:
    redis_server.flush()
    store = RedisStore(redis_server.url)
    await store.open()
    yield store
    await store.close()


def as_dotnet_reads(server: Server, id: str = GUID) -> bytes:
    """What the server answers to the command that .NET sends, byte by byte."""
    key = f"async-job:{id}".encode()
    command = b"*5\r\n$5\r\nHMGET\r\n$%d\r\n%s\r\n$6\r\nabsexp\r\n$6\r\nsldexp\r\n$4\r\ndata\r\n" % (len(key), key)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        # Behind it another command, so that the end of the first answer is known.
        connection.sendall(command + b"PING\r\n")
        received = b""
        while not received.endswith(b"+PONG\r\n"):
            received += connection.recv(4096)
    return received.removesuffix(b"+PONG\r\n")


async def held(store: RedisStore) -> Job:
    (job,) = await run(store, GUID)
    return job


async def test_waiting(store: RedisStore, redis_server: Server) -> None:
    await submit(store, GUID)
    assert as_dotnet_reads(redis_server) == PENDING


async def test_scheduled(store: RedisStore, redis_server: Server) -> None:
    await submit(store, GUID, delay=60_000)
    assert (await read(store, GUID)).state is State.SCHEDULED
    assert as_dotnet_reads(redis_server) == PENDING


async def test_running(store: RedisStore, redis_server: Server) -> None:
    await held(store)
    assert as_dotnet_reads(redis_server) == STARTING


async def test_succeeded(store: RedisStore, redis_server: Server) -> None:
    await tell(store, await held(store), Succeeded("w:1", b"1"))
    assert as_dotnet_reads(redis_server) == COMPLETE


async def test_failed(store: RedisStore, redis_server: Server) -> None:
    await tell(store, await held(store), Failed("w:1", error(retryable=False)))
    assert as_dotnet_reads(redis_server) == FAILED


async def test_to_be_tried_again(store: RedisStore, redis_server: Server) -> None:
    await tell(store, await held(store), Failed("w:1", error()))
    assert as_dotnet_reads(redis_server) == PENDING


async def test_given_back(store: RedisStore, redis_server: Server) -> None:
    await tell(store, await held(store), Released("w:1"))
    assert as_dotnet_reads(redis_server) == PENDING


async def test_cancelled_and_retried(store: RedisStore, redis_server: Server) -> None:
    (job,) = await submit(store, GUID)
    cancelled = await tell(store, job, CancelRequested())
    assert as_dotnet_reads(redis_server) == CANCELLED
    await tell(store, cancelled, RetryRequested())
    assert as_dotnet_reads(redis_server) == PENDING


async def test_expired(store: RedisStore, redis_server: Server) -> None:
    (job,) = await submit(store, GUID, start_by=store.now() - 1)
    await tell(store, job, Overdue())
    assert as_dotnet_reads(redis_server) == EXPIRED


async def test_unknown(store: RedisStore, redis_server: Server) -> None:
    assert as_dotnet_reads(redis_server) == NOTHING
    # What is no job of ours is not found either, whatever its id looks like.
    for id in ("changes", ".sys:changes", "sys:changed"):
        assert as_dotnet_reads(redis_server, id) == NOTHING
