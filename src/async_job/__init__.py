"""Typed Python functions as a durable HTTP job service.

>>> from async_job import Context, Jobs
>>> jobs = Jobs()
>>> @jobs.job
... async def greet(name: str) -> str:
...     return f"Hello, {name}"

``async-job serve module:jobs`` serves them; ``await greet.submit("Ada")`` starts one.
"""

from async_job.context import Context
from async_job.core.job import Attempt, ErrorInfo, ErrorKind, Job, LogLine, Progress, State
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
    NoResult,
    NotRetryable,
    RegistrationError,
    SettingsError,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    UniqueKeyHeld,
    UnknownType,
    UsageError,
    WaitTimeout,
)
from async_job.function import JobFunction
from async_job.handle import Handle
from async_job.jobs import Jobs

__all__ = [
    "AlreadyFinished",
    "AsyncJobError",
    "Attempt",
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
    "LogLine",
    "NoResult",
    "NotRetryable",
    "Progress",
    "RegistrationError",
    "SettingsError",
    "State",
    "StoreError",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "UniqueKeyHeld",
    "UnknownType",
    "UsageError",
    "WaitTimeout",
]
