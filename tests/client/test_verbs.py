"""What the clients give is what the same verbs give in process."""

from typing import Any

import pytest
from msgspec.structs import asdict

from async_job import InvalidInput, Job, Jobs, UniqueKeyHeld, UnknownType, WaitTimeout
from async_job.core.submission import OnConflict, Options
from support.clients import Asker, Point

HIDDEN = {"token", "suspect", "timeout", "unique_key", "owner", "webhook", "life", "logged"}
"""What the server keeps to itself."""


def shown(job: Job) -> dict[str, Any]:
    """The job without what is hidden, and without when its errors were, which a client takes from the runs' ends."""
    fields = {name: value for name, value in asdict(job).items() if name not in HIDDEN}
    fields["error"] = job.error and {**asdict(job.error), "at": 0}
    fields["attempts"] = [
        {**asdict(attempt), "error": attempt.error and {**asdict(attempt.error), "at": 0}} for attempt in job.attempts
    ]
    return fields


async def test_a_function_is_submitted_with_its_own_arguments_and_gives_its_own_result(
    client: Asker, jobs: Jobs
) -> None:
    middle = jobs.function("middle")
    handle = await client.ask("submit", middle, [Point(1, 2), Point(3, 6)])
    assert await client.ask("result", of=handle) == Point(2, 4)
    assert await client.ask("result", handle.id, middle) == Point(2, 4)
    assert await client.ask("result", handle.id) == {"x": 2, "y": 4}


async def test_a_type_is_submitted_by_name(client: Asker) -> None:
    handle = await client.ask("submit", "add", {"a": 2, "b": 3})
    assert await client.ask("result", of=handle) == 5
    assert await client.ask("status", of=handle) == "COMPLETE"


async def test_a_null_result_is_none(client: Asker) -> None:
    handle = await client.ask("submit", "nothing")
    assert await client.ask("result", of=handle, timeout=20) is None


@pytest.mark.parametrize(("type", "input"), [("add", {"a": 1}), ("fail", {}), ("nothing", {}), ("steps", {})])
async def test_an_ended_job_is_as_in_process(client: Asker, jobs: Jobs, type: str, input: object) -> None:
    handle = await client.ask("submit", type, input, Options(priority=3, labels={"color": "blue"}))
    ended = await client.ask("wait", of=handle)
    assert ended.done
    assert shown(ended) == shown(await jobs.get(handle.id))
    assert shown(await client.ask("get", handle.id)) == shown(ended)


async def test_a_running_and_a_scheduled_job_are_as_in_process(client: Asker, jobs: Jobs) -> None:
    running = await client.ask("submit", "hang")
    await jobs.watch(running.id, lambda job: job.state == "running", None)
    scheduled = await client.ask("submit", "hang", options=Options(delay=100, start_within=50, max_attempts=7))
    for handle in (running, scheduled):
        assert shown(await client.ask("job", of=handle)) == shown(await jobs.get(handle.id))


async def test_options_of_a_function_count(client: Asker, jobs: Jobs) -> None:
    add = jobs.function("add").with_options(delay=1000, priority=-4, timeout=9, labels={"a": "b"}, unique_key="only")
    handle = await client.ask("submit", add, 1)
    job = await jobs.get(handle.id)
    assert (job.state, job.priority, job.timeout, job.labels, job.unique_key) == (
        "scheduled", -4, 9_000, {"a": "b"}, "only",
    )  # fmt: skip
    assert (await client.ask("submit", add, 2)).id == handle.id


async def test_a_time_to_run_at_arrives_to_the_millisecond(client: Asker, jobs: Jobs) -> None:
    now = (await jobs.store()).now()
    handle = await client.ask("submit", "add", {"a": 1}, Options(run_at=now + 1_000_123))
    assert (await jobs.get(handle.id)).scheduled_for == now + 1_000_123


async def test_cancel_retry_rerun_and_delete(client: Asker, jobs: Jobs) -> None:
    handle = await client.ask("submit", "add", {"a": 1}, Options(delay=1000))
    cancelled = await client.ask("cancel", of=handle)
    assert cancelled.state == "cancelled"
    assert (await client.ask("retry", handle.id)).state in ("scheduled", "queued", "running", "succeeded")
    assert await client.ask("result", of=handle) == 2

    again = await client.ask("rerun", handle.id)
    assert again.id != handle.id
    assert await client.ask("result", of=again) == 2

    await client.ask("delete", handle.id)
    assert [job.id for job in (await jobs.find()).jobs] == [again.id]


async def test_a_running_job_is_asked_to_stop(client: Asker, jobs: Jobs) -> None:
    handle = await client.ask("submit", "hang")
    await jobs.watch(handle.id, lambda job: job.state == "running", None)
    await client.ask("cancel", of=handle)
    assert (await client.ask("wait", of=handle)).state == "cancelled"


@pytest.mark.realtime
async def test_a_wait_ends_at_its_timeout_and_says_how_the_job_is(client: Asker) -> None:
    handle = await client.ask("submit", "add", {"a": 1}, Options(delay=1000))
    for timeout in (0, 0.2, 1.3):
        with pytest.raises(WaitTimeout, match=rf"within {timeout:g} s: it is scheduled") as raised:
            await client.ask("wait", of=handle, timeout=timeout)
        assert raised.value.job.state == "scheduled"


async def test_the_same_key_makes_one_job(client: Asker, jobs: Jobs) -> None:
    first = await client.ask("submit", "add", {"a": 1}, key="order-7")
    second = await client.ask("submit", "add", {"a": 1}, key="order-7")
    other = await client.ask("submit", "add", {"a": 1})
    assert first.id == second.id != other.id


async def test_many_jobs_are_submitted_at_once(client: Asker, jobs: Jobs) -> None:
    middle = jobs.function("middle")
    answers = await client.ask(
        "submit_many",
        [middle.request([Point(1, 2), Point(3, 6)]), ("add", {"a": 1}), ("add", {"a": 5}, Options(delay=1000))],
    )
    assert await client.ask("result", of=answers[0]) == Point(2, 4)
    assert await client.ask("result", of=answers[1]) == 2
    assert (await client.ask("job", of=answers[2])).state == "scheduled"


async def test_what_is_wrong_with_one_of_many_does_not_hold_up_the_others(client: Asker) -> None:
    once = Options(unique_key="one", on_conflict=OnConflict.REJECT, delay=1000)
    answers = await client.ask(
        "submit_many", [("add", {"b": 1}), ("no-such", {}), ("add", {"a": 1}, once), ("add", {"a": 2}, once)]
    )
    assert [type(answer) for answer in answers[:2]] == [InvalidInput, UnknownType]
    assert isinstance(answers[3], UniqueKeyHeld)
    assert answers[3].job.id == answers[2].id


async def test_more_than_a_batch_goes_in_several(client: Asker, jobs: Jobs) -> None:
    many = [("add", {"a": n}, Options(delay=1000)) for n in range(1001)]
    first = await client.ask("submit_many", many, key="twice")
    again = await client.ask("submit_many", many, key="twice")
    assert len({handle.id for handle in first}) == 1001
    assert [handle.id for handle in again] == [handle.id for handle in first]
