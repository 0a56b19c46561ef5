"""Lists and streams of both clients."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from async_job import InvalidOptions, JobNotFound, Jobs, LogLine, Progress
from async_job.client.following import JobEvent, Snapshot, StateChange
from async_job.core.job import State
from async_job.core.query import Query
from async_job.core.submission import Options
from support.clients import Asker
from support.proxy import Proxy
from support.web import Site

LATER = Options(delay=1000)


async def test_a_list_goes_through_all_pages(client: Asker, jobs: Jobs) -> None:
    ids = [(await jobs.submit("add", b'{"a":1}', LATER)).id for _ in range(123)]
    assert [job.id for job in await client.all("find_all")] == ids[::-1]
    assert [job.id for job in await client.all("find_all", Query(newest=False), full=True)] == ids
    first = await client.ask("find", limit=100)
    assert [job.id for job in first.jobs] == ids[:22:-1]
    second = await client.ask("find", cursor=first.next_cursor, limit=100)
    assert [job.id for job in second.jobs] == ids[22::-1]
    assert second.next_cursor is None


async def test_a_list_is_of_what_was_asked_for(client: Asker, jobs: Jobs) -> None:
    now = (await jobs.store()).now()
    blue = await jobs.submit("add", b'{"a":1}', Options(delay=1000, labels={"color": "blue", "size": "L&M ä"}))
    await jobs.submit("add", b'{"a":1}', Options(delay=1000, labels={"color": "red"}))
    other = await jobs.submit("nothing", b"{}", Options(delay=1000, queue="slow"))
    cancelled = await jobs.submit("hang", b"{}", LATER)
    await jobs.cancel(cancelled.id)
    for query, wanted in (
        (Query(labels={"color": "blue", "size": "L&M ä"}), [blue.id]),
        (Query(type="nothing"), [other.id]),
        (Query(queue="slow"), [other.id]),
        (Query(states=(State.CANCELLED, State.FAILED)), [cancelled.id]),
        (Query(finished_after=now - 1), [cancelled.id]),
        (Query(created_before=now), []),
    ):
        assert [job.id for job in (await client.ask("find", query)).jobs] == wanted, query
        assert [job.id for job in (await jobs.find(query)).jobs] == wanted, query


async def test_input_and_result_come_only_if_asked_for(client: Asker) -> None:
    handle = await client.ask("submit", "add", {"a": 1})
    await client.ask("wait", of=handle)
    [short] = (await client.ask("find")).jobs
    [full] = (await client.ask("find", full=True)).jobs
    assert (short.input, short.result) == (b"", None)
    assert (full.input, full.result) == (b'{"a":1}', b"2")


async def test_a_list_that_cannot_be(client: Asker) -> None:
    for arguments in ({"limit": 201}, {"limit": 0}, {"cursor": "nothing"}, {"query": Query(owner="me")}):
        with pytest.raises(InvalidOptions):
            await client.ask("find", **arguments)


async def test_types(client: Asker, jobs: Jobs) -> None:
    types = {known.type: known for known in await client.ask("types")}
    assert types.keys() == jobs.functions.keys()
    assert types["add"].input_schema == jobs.function("add").input.json_schema


async def test_events_tell_of_a_job_from_its_start_to_its_end(client: Asker, jobs: Jobs) -> None:
    handle = await client.ask("submit", "stay")
    reading = asyncio.create_task(client.all("events", handle.id))
    await jobs.watch(handle.id, lambda job: job.progress is not None and job.logged > 0, None)
    await jobs.cancel(handle.id)
    events: list[JobEvent] = await reading
    ended = await client.ask("get", handle.id)
    assert isinstance(events[0].data, Snapshot)
    assert events[0].data.job.id == handle.id
    assert (events[-1].event, events[-1].data) == ("result", ended)
    assert ended.state == "cancelled"

    told = [event.data for event in await client.all("events", handle.id, "1.0")]
    states = [data.state for data in told if isinstance(data, StateChange)]
    assert (states[0], states[-1]) == ("running", "cancelled")
    assert [data.message for data in told if isinstance(data, LogLine)] == ["a line"]
    assert [data for data in told if isinstance(data, Progress)] == [Progress(1, 2, "half")]
    assert told[-1] == ended
    assert await client.all("events", handle.id, events[-1].id) == []


async def test_events_of_an_unknown_job(client: Asker) -> None:
    with pytest.raises(JobNotFound):
        await client.all("events", "01a20bfa-0000-7000-8000-000000000000")


async def test_a_stream_that_is_cut_is_taken_up_where_it_was(
    site: Site, jobs: Jobs, connect: Callable[..., Asker]
) -> None:
    async with Proxy(site.port) as proxy:
        client = connect(f"http://127.0.0.1:{proxy.port}", patience=20)
        handle = await jobs.submit("talk", b'{"lines":60}')
        events: list[Any] = []
        reading = asyncio.create_task(client.all("events", handle.id, "1.0"))
        while not reading.done():
            proxy.cut_all()
            await asyncio.sleep(0.02)
        events = await reading
        assert proxy.cuts > 3
    lines = [event.data.message for event in events if event.event == "log"]
    assert lines == [f"line {n}" for n in range(60)]
    states = [event.data.state for event in events if event.event == "state"]
    assert states == ["running", "succeeded"]
    assert [event.event for event in events].count("result") == 1
