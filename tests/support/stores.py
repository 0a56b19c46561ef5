"""Every kind of store by its URL, on a clock of the test's choice: any number of objects on one backend."""

import uuid
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import cast

from async_job.clock import Clock
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import Store

OpenStore = Callable[[], Awaitable[Store]]


class Backend:
    """One place where jobs are kept: a memory, a file, or a namespace of its own on a server.

    Each is a new one, except that two files under one URL need different ``number``s.
    """

    def __init__(self, url: str, clock: Clock, number: int = 0) -> None:
        self._url = url
        self._number = number
        self._clock = clock
        self._memory = MemoryStore(clock)
        self._namespace = f"test-{uuid.uuid4().hex}"

    def store(self) -> Store:
        """Another store object, not yet open. A memory has only one, which all its users share."""
        scheme, _, path = self._url.partition(":///")
        if self._url == "memory://":
            return self._memory
        if scheme == "sqlite":
            # Imported here, so that a store that cannot be imported fails its own tests and no others.
            made = import_module("async_job.store.sqlite.store").SqliteStore(
                f"{path}.{self._number}", clock=self._clock
            )
        else:
            redis = import_module("async_job.store.redis.store")
            made = redis.RedisStore(self._url, clock=self._clock, namespace=self._namespace)
        return cast(Store, made)
