"""The errors of the clients are those that the same question raises in process."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from async_job import (
    AlreadyFinished,
    AsyncJobError,
    InvalidInput,
    InvalidOptions,
    Job,
    JobCancelled,
    JobFailed,
    JobNotFound,
    Jobs,
    KeyReused,
    NoResult,
    NotFinished,
    NotRetryable,
    OnConflict,
    Options,
    ServerError,
    UniqueKeyHeld,
    UnknownType,
    UsageError,
)
from async_job.core.job import Change, Guard
from support.clients import Asker
from support.web import Site

UNKNOWN = "01a20bfa-0000-7000-8000-000000000000"


async def error_of(asked: Awaitable[object]) -> AsyncJobError:
    with pytest.raises(AsyncJobError) as raised:
        await asked
    return raised.value


def told(error: AsyncJobError) -> dict[str, Any]:
    """What an error says, by its class, its text and its attributes; a job by its id and state."""
    attributes = {
        name: (value.id, value.state) if name == "job" else value
        for name, value in vars(error).items()
        if not name.startswith("__")
    }
    return {"class": type(error), "text": str(error), **attributes}


async def same(client: Asker, jobs: Jobs, verb: str, *args: Any) -> AsyncJobError:
    """The error of a verb, which is the same in process."""
    remote = await error_of(client.ask(verb, *args))
    local = await error_of(getattr(jobs, verb)(*args))
    assert told(remote) == told(local)
    return remote


@pytest.mark.parametrize("verb", ["get", "wait", "result", "cancel", "retry", "rerun", "delete"])
async def test_an_unknown_job(client: Asker, jobs: Jobs, verb: str) -> None:
    assert type(await same(client, jobs, verb, UNKNOWN)) is JobNotFound


async def test_an_id_that_is_none(client: Asker) -> None:
    for id in ("nothing", "../../healthz", "a b/ü?x#y", "."):
        error = await error_of(client.ask("get", id))
        assert type(error) is JobNotFound
        assert error.id == id


async def test_a_job_that_has_ended(client: Asker, jobs: Jobs) -> None:
    handle = await client.ask("submit", "add", {"a": 1})
    await client.ask("wait", of=handle)
    assert type(await same(client, jobs, "cancel", handle.id)) is AlreadyFinished
    assert type(await same(client, jobs, "retry", handle.id)) is NotRetryable


async def test_a_job_that_has_not_ended(client: Asker, jobs: Jobs) -> None:
    handle = await client.ask("submit", "add", {"a": 1}, Options(delay=1000))
    assert type(await same(client, jobs, "delete", handle.id)) is NotFinished
    assert type(await same(client, jobs, "retry", handle.id)) is NotRetryable


async def test_a_job_that_ended_badly_has_no_result(client: Asker, jobs: Jobs) -> None:
    failed = await client.ask("submit", "fail", {"message": "out of paper"})
    error = await error_of(client.ask("result", of=failed))
    assert told(error) == told(await error_of(jobs.result(failed.id)))
    assert isinstance(error, JobFailed)
    assert error.error is not None
    assert (error.error.type, error.error.message) == ("ValueError", "out of paper")

    cancelled = await client.ask("submit", "add", {"a": 1}, Options(delay=1000))
    await client.ask("cancel", of=cancelled)
    assert type(await same(client, jobs, "result", cancelled.id)) is JobCancelled


async def test_a_result_that_is_no_longer_kept(client: Asker, jobs: Jobs) -> None:
    handle = await client.ask("submit", "add", {"a": 1})
    job = await client.ask("wait", of=handle)
    job = await jobs.get(job.id)
    fields = {"state": job.state, "reason": job.reason, "updated_at": job.updated_at, "result": None}
    [changed] = await (await jobs.store()).apply([Change(job=job, guard=Guard(state=job.state), fields=fields)])
    assert isinstance(changed, Job)
    assert changed.result is None
    error = await error_of(client.ask("result", handle.id))
    assert type(error) is NoResult
    assert told(error) == told(await error_of(jobs.result(handle.id)))


async def test_an_input_that_does_not_fit(client: Asker, jobs: Jobs) -> None:
    for input, path in (({"a": "x"}, "$.a"), ({}, ""), ({"a": 1, "c": 2}, "")):
        error = await error_of(client.ask("submit", "add", input))
        assert type(error) is InvalidInput
        assert error.path == path
    middle = jobs.function("middle")
    error = await error_of(client.ask("submit", middle, [{"x": 1}]))
    assert type(error) is InvalidInput
    assert error.path == "$.of[0]"
    assert type(await error_of(client.ask("submit", "add", {"a": object()}))) is InvalidInput
    assert (await jobs.find()).jobs == []


async def test_a_type_that_is_not_registered(client: Asker, jobs: Jobs) -> None:
    error = await error_of(client.ask("submit", "nope"))
    assert told(error) == told(await error_of(jobs.submit("nope", b"{}")))
    assert isinstance(error, UnknownType)
    assert "add" in error.known


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (Options(priority=70), "priority"),
        (Options(delay=-1), "delay"),
        (Options(queue="a b"), "queue"),
        (Options(labels={"a b": "c"}), "labels"),
        (Options(priority="high"), "priority"),  # type: ignore[arg-type]
    ],
)
async def test_an_option_that_cannot_be(client: Asker, options: Options, option: str) -> None:
    error = await error_of(client.ask("submit", "add", {"a": 1}, options))
    assert type(error) is InvalidOptions
    assert error.option == option


async def test_a_unique_key_that_is_held(client: Asker, jobs: Jobs) -> None:
    holder = await client.ask("submit", "add", {"a": 1}, Options(unique_key="k", delay=1000))
    error = await error_of(
        client.ask("submit", "add", {"a": 1}, Options(unique_key="k", on_conflict=OnConflict.REJECT))
    )
    assert type(error) is UniqueKeyHeld
    assert error.holder == error.job.id == holder.id

    await client.ask("cancel", of=holder)
    other = await client.ask("submit", "add", {"a": 1}, Options(unique_key="k", delay=1000))
    error = await same(client, jobs, "retry", holder.id)
    assert type(error) is UniqueKeyHeld
    assert (error.holder, error.job.id) == (other.id, holder.id)


async def test_a_key_that_was_used_for_something_else(client: Asker) -> None:
    first = await client.ask("submit", "add", {"a": 1}, key="k")
    error = await error_of(client.ask("submit", "add", {"a": 2}, key="k"))
    assert type(error) is KeyReused
    assert error.id == first.id


async def test_an_input_that_is_too_large(client: Asker) -> None:
    error = await error_of(client.ask("submit", "fail", {"message": "x" * 300_000}))
    assert type(error) is InvalidInput
    assert "at most" in str(error)


async def test_something_that_is_no_server_of_ours(site: Site, connect: Callable[..., Asker]) -> None:
    client = connect(f"http://127.0.0.1:{site.port}/start-job", patience=0)
    error = await error_of(client.ask("get", UNKNOWN))
    assert type(error) is ServerError or isinstance(error, UsageError)


@pytest.mark.parametrize("url", ["nothing", "ftp://host", "http://", "127.0.0.1:5079", "http://[::1", "http://host:no"])
async def test_a_url_that_is_none(connect: Callable[..., Asker], url: str) -> None:
    with pytest.raises(UsageError, match="is no server"):
        connect(url)


@pytest.mark.parametrize("key", ["", "schlüssel", "aj_1_2\n"])
async def test_a_key_that_cannot_be_sent(connect: Callable[..., Asker], key: str) -> None:
    with pytest.raises(UsageError, match="visible ASCII"):
        connect("http://127.0.0.1:9", api_key=key)


async def test_a_dict_is_no_options_and_no_query(client: Asker, jobs: Jobs) -> None:
    wrong: Any = {"delay": 60}
    remote = await error_of(client.ask("submit", "demo", {}, wrong))
    local = await error_of(jobs.submit("demo", b"{}", wrong))
    assert told(remote) == told(local)
    assert type(remote) is InvalidOptions
    assert str(remote) == "options has to be async_job.Options, as in Options(delay=60), not of type dict"
    error = await same(client, jobs, "find", {"type": "demo"})
    assert type(error) is InvalidOptions
    assert str(error) == "query has to be async_job.Query, as in Query(type='resize'), not of type dict"


async def test_nobody_there(connect: Callable[..., Asker]) -> None:
    client = connect("http://127.0.0.1:9", patience=0)
    error = await error_of(client.ask("get", UNKNOWN))
    assert type(error) is ServerError
    assert "no server answers at http://127.0.0.1:9" in str(error)
