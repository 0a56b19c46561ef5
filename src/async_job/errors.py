"""Every error that async-job raises on purpose.

AsyncJobError
├── UsageError                  the caller has to change something
│   ├── SettingsError           a setting is wrong; the message names it
│   ├── RegistrationError       a function cannot be registered as it is written
│   ├── InvalidInput            an input does not fit the function's signature
│   │   ├── NotJson             an input is no JSON at all
│   │   └── OutdatedInput       a stored input no longer fits
│   ├── InvalidOptions          an option of a submit or a list has a value that cannot be
│   ├── KeyReused               an idempotency key was used for something else before
│   ├── UnknownType             no function is registered under this name
│   ├── NotAllowed              the API key is missing, unknown, or not good for this
│   └── ForkError               an object was carried into another process
├── JobNotFound                 no such job, or it is no longer kept
├── ApiKeyNotFound              no API key has this id
├── Conflict                    the job's state does not allow this
│   ├── AlreadyFinished         cancel of a job that has ended
│   ├── NotRetryable            retry of a job that is live or has succeeded
│   ├── NotOverdue              expiry of a job that may still start
│   ├── Lost                    the run no longer owns the job
│   ├── NotFinished             only ended jobs can be deleted
│   └── UniqueKeyHeld           another live job has the unique key
├── NoResult                    the job ended without a result, or has not ended
│   ├── WaitTimeout             not finished within the time given
│   ├── JobFailed               ended as failed; carries the error
│   ├── JobCancelled            ended as cancelled
│   └── JobExpired              not started by its deadline
├── StoreError                  the store cannot do it
│   ├── StoreUnavailable        away for now: try again
│   ├── StoreFull               no room: nothing was written
│   ├── StoreRefused            set up in a way that would lose jobs, or of another version
│   └── StoreBroken             answers something it should not; a bug or damage
│       └── Unreadable          has a job that this version cannot read
├── InvalidResult               what a function returned cannot be stored as its result
├── UnrecoverableError          raised by a function: trying it again would not help
├── WorkerError
│   ├── NotEnrolled             the worker id was retired or never enrolled
│   ├── LeaseOver               the worker's lease is over and not yet renewed
│   └── StaleClaim              a claim id lower than one already used
├── WebhookError
│   ├── EndpointNotFound        there is no webhook endpoint of this name
│   ├── EndpointExists          there is one already
│   ├── DeliveryNotFound        no such delivery, or its job is no longer kept
│   └── AddressRefused          a host name leads to an address that no webhook may go to
└── ServerError                 the HTTP client's view of a server that cannot answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from async_job.core.job import ErrorInfo, Job


class AsyncJobError(Exception):
    """The root: ``except AsyncJobError`` catches whatever this package raises on purpose."""


class UsageError(AsyncJobError):
    """The caller has to change something; trying again as it is will not help."""


class SettingsError(UsageError):
    """A setting has a value that cannot be used. The message names the setting and where it came from."""


class RegistrationError(UsageError):
    """A function cannot be registered as it is written."""


class InvalidInput(UsageError):
    """An input does not fit the function's signature.

    ``reason`` says what is wrong, ``path`` where in the input, as in ``$.size[0]``; empty when it is the whole.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{reason} - at {path}" if path else reason)
        self.reason = reason
        self.path = path


class NotJson(InvalidInput):
    """An input is no JSON at all."""


class OutdatedInput(InvalidInput):
    """A stored input does not fit the function: it takes something else than when the job was submitted."""


class InvalidOptions(UsageError):
    """An option of a submit has a value that cannot be. ``option`` is its name."""

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class KeyReused(UsageError):
    """The idempotency key was used before, for something else. ``id`` is the job of that time."""

    def __init__(self, id: str) -> None:
        super().__init__(f"this idempotency key was used for another request, which made job {id}; take a new key")
        self.id = id


class UnknownType(UsageError):
    """No function is registered under this name."""

    def __init__(self, type: str, known: tuple[str, ...] = ()) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(f"no job type {type!r} is registered here (registered: {listed})")
        self.type = type
        self.known = known


class NotAllowed(UsageError):
    """The server wants an API key, does not know this one, or the key is not good for what was asked."""


class ForkError(UsageError):
    """A store was used in another process than the one it belongs to: one that was forked, say."""


class JobNotFound(AsyncJobError):
    """There is no job with this id, or it is no longer kept."""

    def __init__(self, id: str) -> None:
        super().__init__(f"no job {id}: it never existed, or is no longer kept")
        self.id = id


class ApiKeyNotFound(AsyncJobError):
    """There is no API key with this id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no key {id!r}; `async-job keys list` shows all")


class Conflict(AsyncJobError):
    """The job's state does not allow what was asked. ``job`` is the job as it was found; ``None`` in an HTTP client
    that could not read it: its API key is not good for that, or the job has gone since."""

    def __init__(self, message: str, job: Job | None) -> None:
        super().__init__(message)
        self.job = job


class AlreadyFinished(Conflict):
    """A job that has ended can no longer be cancelled."""


class NotRetryable(Conflict):
    """Only failed, cancelled and expired jobs can be retried."""


class NotOverdue(Conflict):
    """The job has no deadline that has passed."""


class Lost(Conflict):
    """The run that reports no longer owns the job: it was rescued, retired, claimed anew or has ended."""


class NotFinished(Conflict):
    """A job that has not ended cannot be deleted; cancel it first."""


class UniqueKeyHeld(Conflict):
    """Another live job of the same type holds the unique key. ``holder`` is its id."""

    def __init__(self, message: str, job: Job | None, holder: str) -> None:
        super().__init__(message, job)
        self.holder = holder


class NoResult(AsyncJobError):
    """There is no result to give. ``job`` is the job as it is."""

    def __init__(self, message: str, job: Job) -> None:
        super().__init__(message)
        self.job = job


class WaitTimeout(NoResult):
    """The job did not finish within the time given; it goes on."""


class JobFailed(NoResult):
    """The job ended as failed. ``error`` says how."""

    @property
    def error(self) -> ErrorInfo | None:
        return self.job.error


class JobCancelled(NoResult):
    """The job ended as cancelled."""


class JobExpired(NoResult):
    """The job was not started by its deadline."""


class StoreError(AsyncJobError):
    """The store cannot do what was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or cannot answer now. What was asked may or may not have happened;
    it can be repeated, because everything that is repeated carries an id or a token."""


class StoreFull(StoreError):
    """The store has no room. Nothing was written."""


class StoreRefused(StoreError):
    """The store is set up in a way that would lose jobs, or was written by another version."""


class StoreBroken(StoreError):
    """The store answered something that it should never answer."""


class Unreadable(StoreBroken):
    """A job's record cannot be read: it is damaged, or of a newer version. Nothing is wrong with the others."""


class InvalidResult(AsyncJobError):
    """What a function returned cannot be stored: it is not what its annotation says, no JSON, or too large."""


class UnrecoverableError(AsyncJobError):
    """For functions to raise, itself or a class of one's own below it: the job fails at once, however many attempts it
    has left."""


class WorkerError(AsyncJobError):
    """A worker may not do what it tried."""


class NotEnrolled(WorkerError):
    """The worker id was retired or was never enrolled: the process has to end and start anew."""


class LeaseOver(WorkerError):
    """The worker's lease is over and was not renewed yet: nothing is claimed until it is."""


class StaleClaim(WorkerError):
    """A claim id lower than one that was already used."""


class WebhookError(AsyncJobError):
    """Something about webhooks cannot be done."""


class EndpointNotFound(WebhookError):
    """There is no webhook endpoint of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no webhook endpoint {name!r}; `async-job webhooks list` shows all")


class EndpointExists(WebhookError):
    """There is a webhook endpoint of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a webhook endpoint {name!r} already; remove it first, or take another name")


class DeliveryNotFound(WebhookError):
    """There is no webhook delivery under this id, or its job is no longer kept."""

    def __init__(self, id: str) -> None:
        super().__init__(f"no webhook delivery {id}: it never existed, or its job is no longer kept")


class AddressRefused(WebhookError):
    """A host name leads to an address that no webhook may go to."""


class ServerError(AsyncJobError):
    """A server was reached over HTTP and could not answer, or could not be reached."""


def says(error: BaseException) -> str:
    """The message of an exception that is not ours. Its code is not, either: it may raise anything when it is asked."""
    try:
        return str(error)
    except BaseException as broken:  # noqa: BLE001 - also a SystemExit, which would end the worker
        return f"(a {type(error).__qualname__} that cannot be shown: {type(broken).__qualname__})"
