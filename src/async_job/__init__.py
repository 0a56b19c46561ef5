"""Typed Python functions as a durable HTTP job service.

>>> from async_job import Context, Jobs
>>> jobs = Jobs()
>>> @jobs.job
... async def greet(name: str) -> str:
...     return f"Hello, {name}"

``async-job serve module:jobs`` serves them; ``await greet.submit("Ada")`` starts one.
"""

from typing import TYPE_CHECKING, Any

from async_job.context import Context
from async_job.core.job import Attempt, ErrorInfo, ErrorKind, Job, LogLine, Progress, State
from async_job.core.query import Query
from async_job.core.submission import OnConflict, Options
from async_job.errors import (
    AlreadyFinished,
    AsyncJobError,
    Conflict,
    InvalidInput,
    InvalidOptions,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobNotFound,
    KeyReused,
    NoResult,
    NotAllowed,
    NotFinished,
    NotRetryable,
    RegistrationError,
    ServerError,
    SettingsError,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    UniqueKeyHeld,
    UnknownType,
    UnrecoverableError,
    UsageError,
    WaitTimeout,
)
from async_job.finding import Page
from async_job.function import JobFunction
from async_job.handle import Handle
from async_job.jobs import Jobs
from async_job.submitting import Request

if TYPE_CHECKING:
    from async_job.client.asynchronous import AsyncClient
    from async_job.client.blocking import Client

__all__ = [
    "AlreadyFinished",
    "AsyncClient",
    "AsyncJobError",
    "Attempt",
    "Client",
    "Conflict",
    "Context",
    "ErrorInfo",
    "ErrorKind",
    "Handle",
    "InvalidInput",
    "InvalidOptions",
    "Job",
    "JobCancelled",
    "JobExpired",
    "JobFailed",
    "JobFunction",
    "JobNotFound",
    "Jobs",
    "KeyReused",
    "LogLine",
    "NoResult",
    "NotAllowed",
    "NotFinished",
    "NotRetryable",
    "OnConflict",
    "Options",
    "Page",
    "Progress",
    "Query",
    "RegistrationError",
    "Request",
    "ServerError",
    "SettingsError",
    "State",
    "StoreError",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "UniqueKeyHeld",
    "UnknownType",
    "UnrecoverableError",
    "UsageError",
    "WaitTimeout",
]


def __getattr__(name: str) -> Any:
    """The clients bring httpx along, which nobody else needs."""
    if name == "Client":
        from async_job.client.blocking import Client

        return Client
    if name == "AsyncClient":
        from async_job.client.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
