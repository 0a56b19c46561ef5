"""What can be asked of a server, as steps: which calls, when again, and what the answers mean."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from async_job.client.following import Following
from async_job.client.reading import (
    JobType,
    JobTypes,
    ReceivedBatch,
    ReceivedItem,
    ReceivedJob,
    ReceivedList,
    decode,
    read_job,
)
from async_job.client.refusals import CONFLICTS, Problem, error_of, read_problem
from async_job.client.steps import Call, Pause, Reply, Steps, ask
from async_job.client.waiting import Waits
from async_job.core.job import Job, State
from async_job.core.query import Query
from async_job.core.submission import Options, as_options
from async_job.errors import (
    AlreadyFinished,
    AsyncJobError,
    InvalidInput,
    InvalidOptions,
    JobNotFound,
    NoResult,
    NotAllowed,
    NotRetryable,
    ServerError,
    StoreError,
    UniqueKeyHeld,
    UsageError,
)
from async_job.finding import Page
from async_job.function import JobFunction
from async_job.ids import new_id
from async_job.job_view import time as rfc3339
from async_job.outcome import not_within, result_of
from async_job.submitting import Request

HOLD: Final = 20
"""Seconds for which the server is asked to hold an answer back; a proxy in between may cut longer ones."""
GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
KEY: Final = re.compile(r"[!#-~][!-~]{0,254}")
"""The idempotency keys that a server takes as they are."""
JSON: Final = {"Content-Type": "application/json"}
MOST_AT_ONCE: Final = 1000
"""Jobs in one batch; a server takes no more."""
LARGEST_BATCH: Final = 3 << 20
"""Bytes of one batch, below the 4 MiB that a server takes unless it is set otherwise."""


ToSubmit: TypeAlias = Request[Any] | tuple[str, Any] | tuple[str, Any, Options]
"""One of several jobs to submit: ``function.request(…)``, or a type's name with its input, and maybe its options."""


class NewJob(Struct, frozen=True):
    """A job to submit. ``key`` makes the request repeatable; the client makes one if the caller gives none."""

    type: str
    input: bytes
    options: Options
    key: str | None = None

    @property
    def body(self) -> bytes:
        """The JSON of ``POST /v1/jobs``, without what is left to the function."""
        options = {name: value for name, value in msgspec.structs.asdict(self.options).items() if value is not None}
        if self.options.run_at is not None:
            options["run_at"] = rfc3339(self.options.run_at)
        return msgspec.json.encode({"type": self.type, "input": msgspec.Raw(self.input), **options})


def new_job(what: JobFunction[..., Any, Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewJob:
    """What ``submit`` was given: a function with its arguments, or a type with ``input``, ``options`` and ``key``.

    Raises:
        InvalidInput: the arguments do not fit the function, or are no JSON.
        InvalidOptions: the options are none, or the key cannot be one.
    """
    if isinstance(what, JobFunction):
        return NewJob(what.type, what.input.encode(args, kwargs), what.options)
    return _job_of_type(what, *args, **kwargs)


def _job_of_type(type: str, input: Any = None, options: Options | None = None, key: str | None = None) -> NewJob:
    try:
        text = msgspec.json.encode({} if input is None else input)
    except TypeError as error:
        raise InvalidInput(f"the input cannot be written as JSON: {error}") from error
    return NewJob(type, text, as_options(options), None if key is None else checked_key(key))


def checked_key(key: object) -> str:
    """The idempotency key, as it can be sent. Raises ``InvalidOptions``."""
    if isinstance(key, str) and KEY.fullmatch(key):
        return key
    says = "has to be 1 to 255 visible ASCII characters, and not to begin with a double quote"
    raise InvalidOptions(f"the key {says}; {key!r} is not so", "key")


def batch_key(key: str, number: int) -> str:
    """The key of the batch of that number: the first has the caller's own, and the others one that nobody means."""
    return key if number == 0 else sha256(f"{key} {number}".encode()).hexdigest()


def new_batch(jobs: Sequence[ToSubmit]) -> list[NewJob]:
    """What ``submit_many`` was given: requests of functions, or types with their input and options. See ``new_job``."""
    return [
        NewJob(job.function.type, job.input, job.options)
        if isinstance(job, Request)
        else _job_of_type(job[0], job[1], job[2] if len(job) == 3 else None)
        for job in jobs
    ]


def batches(jobs: Sequence[NewJob]) -> Iterator[list[bytes]]:
    """The jobs' bodies, as many together as a server takes at once."""
    bodies: list[bytes] = []
    size = 0
    for job in jobs:
        body = job.body
        if bodies and (len(bodies) == MOST_AT_ONCE or size + len(body) > LARGEST_BATCH):
            yield bodies
            bodies, size = [], 0
        bodies.append(body)
        size += len(body)
    if bodies:
        yield bodies


def list_parameters(query: Query, cursor: str | None, limit: int | None, full: bool) -> dict[str, str]:
    """The parameters of ``GET /v1/jobs``.

    Raises:
        InvalidOptions: an owner is asked for, which only the API key decides.
    """
    if query.owner is not None:
        raise InvalidOptions("the API key says whose jobs are listed; leave the owner out", "owner")
    moments = ("created_after", "created_before", "finished_after", "finished_before")
    parameters = {
        "state": ",".join(query.states),
        "type": query.type,
        "queue": query.queue,
        **{name: None if getattr(query, name) is None else rfc3339(getattr(query, name)) for name in moments},
        **{f"label.{name}": value for name, value in query.labels.items()},
        "sort": "newest" if query.newest else "oldest",
        "limit": None if limit is None else f"{limit}",
        "cursor": cursor,
        "view": "full" if full else None,
    }
    return {name: value for name, value in parameters.items() if value is not None and (value or name != "state")}


class Verbs:
    """``url`` is for messages, ``patience`` how many seconds a call is repeated that a server did not answer."""

    def __init__(self, url: str, patience: float) -> None:
        self._url = url
        self._patience = patience
        self._waits = Waits()

    def submit(self, job: NewJob) -> Steps[Job]:
        """Stores a job, once, however often that has to be said. The job as it is then."""
        headers = {**JSON, "Idempotency-Key": job.key or new_id()}
        reply = yield from self._ask(Call("POST", "/v1/jobs", headers, body=job.body))
        return (yield from self._job(reply))

    def submit_many(self, jobs: Sequence[NewJob], key: str | None) -> Steps[list[Job | AsyncJobError]]:
        """Stores the jobs, batch by batch; one answer each, in order. What happens to a later batch takes nothing from
        the answers of those before it."""
        key = new_id() if key is None else checked_key(key)
        answers: list[Job | AsyncJobError] = []
        for number, bodies in enumerate(batches(jobs)):
            try:
                answers += yield from self._submit_batch(bodies, batch_key(key, number))
            except UsageError as error:
                if not answers:
                    raise
                answers += [error] * len(bodies)
            except (ServerError, StoreError) as error:
                unknown = _not_all(error, len(answers), len(jobs), key)
                if not answers:
                    raise unknown from error
                answers += [unknown] * (len(jobs) - len(answers))
                break
        return answers

    def _submit_batch(self, bodies: Sequence[bytes], key: str) -> Steps[list[Job | AsyncJobError]]:
        body = b'{"jobs":[' + b",".join(bodies) + b"]}"
        headers = {**JSON, "Idempotency-Key": key}
        reply = yield from self._ask(Call("POST", "/v1/jobs/batch", headers, body=body))
        if not reply.is_good:
            yield from self._refuse(reply)
        items = decode(reply.body, ReceivedBatch, self._url).items
        holders = yield from self._readable(item.problem.holder for item in items if item.problem.holder)
        return [self._answer(item, holders) for item in items]

    def _answer(self, item: ReceivedItem, holders: Mapping[str, Job]) -> Job | AsyncJobError:
        if item.job is not None:
            return read_job(item.job)
        problem = item.problem
        if problem.code == "unique_key_held":
            return UniqueKeyHeld(problem.detail, holders.get(problem.holder), problem.holder)
        return error_of(problem, item.status, self._url)

    def _readable(self, ids: Iterable[str]) -> Steps[dict[str, Job]]:
        """Those of the jobs that can be read. They go with an error, which counts for more than why they cannot."""
        found: dict[str, Job] = {}
        for id in dict.fromkeys(ids):
            try:
                found[id] = yield from self.get(id)
            except JobNotFound:
                continue
            except (NotAllowed, ServerError, StoreError):
                # The others would fare no better.
                break
        return found

    def get(self, id: str, hold: int = 0, until: float = math.inf) -> Steps[Job]:
        """The job as it is, or as it is when it has ended or ``hold`` seconds are over; ``until`` as in ``ask``."""
        headers = {"Prefer": f"wait={hold}"} if hold else {}
        reply = yield from self._ask(Call("GET", job_path(id), headers, hold=hold), until)
        return (yield from self._job(reply, id))

    def wait(self, id: str, timeout: float | None) -> Steps[Job]:
        """The job when it has ended."""
        return self._wait(id, timeout, _after(timeout))

    def _wait(self, id: str, timeout: float | None, until: float) -> Steps[Job]:
        """By one long poll after the other, or by asking now and then where many wait."""
        with self._waits.one() as wait:
            while True:
                asked = time.monotonic()
                hold = max(0, int(min(HOLD, until - asked))) if self._waits.may_hold(wait) else 0
                job = yield from self.get(id, hold, until)
                if job.done:
                    return job
                now = time.monotonic()
                if now >= until:
                    raise not_within(job, timeout)
                # There is no whole second left to wait, it is not this one's turn, or the server does not hold back.
                if now - asked < hold or hold == 0:
                    yield Pause(min(self._waits.pause, until - now))

    def result(self, id: str, function: JobFunction[..., Any, Any] | None, timeout: float | None) -> Steps[Any]:
        """The ended job's result, as the function says, or as plain JSON."""
        until = _after(timeout)
        job = yield from self._wait(id, timeout, until)
        if job.state is State.SUCCEEDED and job.result == b"null":
            # A job's JSON does not tell a result that is null from one that is gone; this does.
            reply = yield from self._ask(Call("GET", f"{job_path(id)}/result"), until)
            if reply.status == HTTPStatus.GONE:
                raise NoResult(f"the result of job {id} is no longer kept", job)
            if not reply.is_good:
                yield from self._refuse(reply, id)
        return result_of(job, function.result.decode if function else msgspec.json.decode)

    def cancel(self, id: str) -> Steps[Job]:
        """Asks for a cancel; the job after it."""
        reply = yield from self._ask(Call("POST", f"{job_path(id)}/cancel"))
        try:
            return (yield from self._job(reply, id))
        except AlreadyFinished as error:
            # The answer to the first try was lost.
            if reply.repeated and error.job is not None and error.job.state is State.CANCELLED:
                return error.job
            raise

    def retry(self, id: str) -> Steps[Job]:
        """Runs an ended job again; the job after it."""
        reply = yield from self._ask(Call("POST", f"{job_path(id)}/retry"))
        try:
            return (yield from self._job(reply, id))
        except NotRetryable as error:
            # The answer to the first try was lost.
            if reply.repeated and error.job is not None and not error.job.done:
                return error.job
            raise

    def rerun(self, id: str) -> Steps[Job]:
        """A new job with the same input."""
        headers = {"Idempotency-Key": new_id()}
        return (yield from self._job((yield from self._ask(Call("POST", f"{job_path(id)}/rerun", headers))), id))

    def delete(self, id: str) -> Steps[None]:
        """Removes an ended job."""
        reply = yield from self._ask(Call("DELETE", job_path(id)))
        # Gone by the first try, whose answer was lost.
        is_gone = reply.status == HTTPStatus.NOT_FOUND and reply.repeated
        if not reply.is_good and not is_gone:
            yield from self._refuse(reply, id)

    def find(self, query: Query, cursor: str | None, limit: int | None, full: bool) -> Steps[Page]:
        """A page of the jobs that are as asked for."""
        reply = yield from self._ask(Call("GET", "/v1/jobs", query=list_parameters(query, cursor, limit, full)))
        if not reply.is_good:
            yield from self._refuse(reply)
        found = decode(reply.body, ReceivedList, self._url)
        return Page([read_job(view) for view in found.items], found.next_cursor, found.complete)

    def types(self) -> Steps[list[JobType]]:
        """The functions that are registered on the server."""
        reply = yield from self._ask(Call("GET", "/v1/job-types"))
        if not reply.is_good:
            yield from self._refuse(reply)
        return decode(reply.body, JobTypes, self._url).items

    def follow(self, id: str, after: str | None) -> Following:
        """The events of the job, after the one of that id."""
        return Following(self._url, id, job_path(id), after, self._patience)

    def _ask(self, call: Call, until: float = math.inf) -> Steps[Reply]:
        return ask(call, self._url, self._patience, until)

    def _job(self, reply: Reply, id: str = "") -> Steps[Job]:
        if not reply.is_good:
            yield from self._refuse(reply, id)
        return read_job(decode(reply.body, ReceivedJob, self._url))

    def _refuse(self, reply: Reply, id: str = "") -> Steps[None]:
        """Raises what the reply means; ``id`` is the job that was asked about."""
        raise (yield from self._error(read_problem(reply, self._url), reply.status, id))

    def _error(self, problem: Problem, status: int, id: str) -> Steps[AsyncJobError]:
        """What the problem means; some errors carry the job, which is read for that."""
        if problem.code == "unique_key_held":
            about = id or problem.holder
            return UniqueKeyHeld(problem.detail, (yield from self._readable([about])).get(about), problem.holder)
        if problem.code in CONFLICTS:
            return CONFLICTS[problem.code](problem.detail, (yield from self._readable([id])).get(id))
        return error_of(problem, status, self._url, id)


def _after(timeout: float | None) -> float:
    """When so many seconds are over, by the monotonic clock."""
    return math.inf if timeout is None else time.monotonic() + timeout


def _not_all(error: ServerError | StoreError, answered: int, all: int, key: str) -> ServerError | StoreError:
    """The error, with how to go on when nobody knows what is stored of the rest."""
    rest = f"of the jobs {answered + 1} to {all}" if answered else f"of these {all} jobs"
    return type(error)(
        f"{error}; it is not known what is stored {rest}: to go on, submit_many all the same jobs again within a day "
        f"with key={key!r}, which stores none twice"
    )


def job_path(id: str) -> str:
    """Raises ``JobNotFound`` for what is no id, and would be another path."""
    if not GUID.fullmatch(id):
        raise JobNotFound(id)
    return f"/v1/jobs/{id}"
