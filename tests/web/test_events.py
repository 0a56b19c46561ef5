"""Server-sent events: of one job, and of all."""

import asyncio
import random
import socket
from contextlib import suppress

import httpx
import pytest
from msgspec.structs import replace

from async_job import Jobs
from async_job.core.job import LogLine, Progress
from async_job.core.lifecycle import CancelRequested, Failed, Released, Succeeded
from async_job.store.codec import USUAL_LIMITS
from async_job.store.protocol import Beat, ClaimId
from async_job.web.handlers import streams
from support.events import Event, all_events, listen
from support.jobs import LEASE, error, make_worker, read, tell
from support.until import until
from support.web import Site, claim_all

pytestmark = pytest.mark.realtime


async def start(site: Site) -> tuple[str, str]:
    """A job's id, and the path of its events."""
    id = (await site.post("/v1/jobs", json={"type": "add", "input": {"a": 1}})).json()["id"]
    return id, f"/v1/jobs/{id}/events"


async def succeed(jobs: Jobs, id: str, n: int = 1) -> None:
    store = await jobs.store()
    await tell(store, await read(store, id), Succeeded(f"w:{n}", b"2", log=(LogLine(9, "bye"),)))


def told(events: list[Event]) -> list[object]:
    """The events without what differs from run to run."""
    short = {"state": "state", "log": "message", "progress": "current", "result": "result"}
    return [event.data[short[event.event]] if event.event in short else event.event for event in events]


async def test_a_stream_tells_the_life_of_a_job(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    store = await jobs.store()
    async with listen(site, path) as reader:
        assert reader.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reader.answer.headers["cache-control"] == "no-store"
        first = await reader.next()
        assert (first.event, first.data["job"]["id"], first.data["log"]) == ("snapshot", id, [])
        await claim_all(jobs)
        assert (await reader.next()).data == {"version": 2, "state": "running", "done": False}
        await store.report([Beat(id, "w:1", Progress(1, 4, "begun"), (LogLine(5, "hello"),))])
        log, progress = await reader.next(), await reader.next()
        assert log.data == {"number": 1, "at": "1970-01-01T00:00:00.005Z", "message": "hello"}
        assert progress.data == {"percent": 25.0, "current": 1.0, "total": 4.0, "message": "begun"}
        await succeed(jobs, id)
        rest = [event async for event in reader]
    assert told(rest) == ["bye", "succeeded", 2]
    assert rest[-1].data["done"] is True
    assert [event.id for event in rest] == ["3.2", "4.2", "4.2.end"]


async def test_it_goes_on_where_it_was_cut(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    store = await jobs.store()
    await claim_all(jobs)
    await store.report([Beat(id, "w:1", Progress(1), (LogLine(1, "one"), LogLine(2, "two")))])
    await tell(store, await read(store, id), Released("w:1"))
    await store.claim(ClaimId("w", 2), ["default"], 1)
    await succeed(jobs, id, 2)
    whole = ["running", "queued", "running", "one", "two", "bye", "succeeded", 2]
    events = await all_events(site, path, "1.0")
    assert told(events) == whole
    for n, event in enumerate(events[:-1], 1):
        assert told(await all_events(site, path, event.id)) == whole[n:]
        assert told(await all_events(site, f"{path}?after={event.id}")) == whole[n:]
    # A browser that comes back after the end is told to stop.
    for again in (await site.get(path, headers={"Last-Event-ID": events[-1].id}), await site.head(path)):
        assert again.status_code == (204 if again.request.method == "GET" else 200)
    assert told(await all_events(site, path)) == ["snapshot", 2]


async def test_what_is_too_old_or_no_id_is_reset(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    store = await jobs.store()
    await claim_all(jobs)
    for n in range(2, 25):
        await tell(store, await read(store, id), Released(f"w:{n - 1}"))
        await store.claim(ClaimId("w", n), ["default"], 1)
    await store.report([Beat(id, "w:24", log=(LogLine(1, "one"),))])
    await succeed(jobs, id, 24)
    for after in ("1.0", "99.0", "40.7", "nonsense", "~"):
        events = await all_events(site, path, after)
        assert told(events) == ["reset", "snapshot", 2]
        assert [line["message"] for line in events[1].data["log"]] == ["one", "bye"]
    assert told(await all_events(site, path, "45.0"))[0] != "reset"


async def test_as_json_it_is_a_page(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    json = {"Accept": "application/json"}
    page = (await site.get(path, headers=json)).json()
    assert ([item["event"] for item in page["items"]], page["ended"]) == (["snapshot"], False)
    empty = (await site.get(f"{path}?after={page['next']}", headers=json)).json()
    assert empty == {"items": [], "next": page["next"], "ended": False}
    await claim_all(jobs)
    await succeed(jobs, id)
    page = (await site.get(f"{path}?after={page['next']}", headers=json)).json()
    assert [item["event"] for item in page["items"]] == ["state", "log", "state", "result"]
    assert page["ended"] is True
    end = (await site.get(f"{path}?after={page['next']}", headers=json)).json()
    assert end == {"items": [], "next": page["next"], "ended": True}


async def test_a_log_of_which_lines_are_gone_is_reset(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    store = await jobs.store()
    await claim_all(jobs)
    for n in range(12):
        await store.report([Beat(id, "w:1", log=tuple(LogLine(1, str(100 * n + i)) for i in range(100)))])
    await succeed(jobs, id)
    events = await all_events(site, path, "2.100")
    assert told(events)[:2] == ["reset", "snapshot"]
    assert [line["number"] for line in events[1].data["log"]] == list(range(202, 1202))
    assert told(await all_events(site, path, "2.201"))[0] == "201"


async def test_a_cancel_that_was_asked_for_is_told(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    store = await jobs.store()
    async with listen(site, path) as reader:
        await reader.next()
        await claim_all(jobs)
        assert (await reader.next()).data["version"] == 2
        await tell(store, await read(store, id), CancelRequested())
        assert (await reader.next()).data == {"version": 3, "state": "running", "done": False}
        await tell(store, await read(store, id), Failed("w:1", error()))
        assert told([event async for event in reader]) == ["cancelled", None]


@pytest.mark.parametrize(
    ("length", "told"),
    [(10, 500), (1_000, USUAL_LIMITS.bytes // 1_000), (10_000, USUAL_LIMITS.bytes // 10_000)],
    ids=["short lines", "long lines", "very long lines"],
)
async def test_of_a_long_log_the_newest_is_kept(site: Site, jobs: Jobs, length: int, told: int) -> None:
    id, path = await start(site)
    await claim_all(jobs)
    lines = tuple(LogLine(n, "x" * length) for n in range(500))
    await (await jobs.store()).report([Beat(id, "w:1", log=lines)])
    page = (await site.get(path, headers={"Accept": "application/json"})).json()
    [snapshot] = page["items"]
    assert [line["number"] for line in snapshot["data"]["log"]] == list(range(501 - told, 501))
    await (await jobs.store()).report([Beat(id, "w:1", log=lines[:2])])
    for after, events in (
        (page["next"], ["log", "log"]),
        ("2.0", ["log"] * 502 if told == 500 else ["reset", "snapshot"]),
    ):
        page = (await site.get(path, headers={"Accept": "application/json", "Last-Event-ID": after})).json()
        assert [item["event"] for item in page["items"]] == events


async def test_a_stream_without_news_says_that_it_lives(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAUSE", 0.01)
    id, path = await start(site)
    async with listen(site, path) as reader:
        await reader.next()
        chunks = reader.answer.num_bytes_downloaded
        while reader.answer.num_bytes_downloaded < chunks + 6:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.next()
    await site.post(f"/v1/jobs/{id}/cancel")


async def test_a_stream_of_a_job_that_is_removed_ends(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    async with listen(site, path) as reader:
        await reader.next()
        await site.post(f"/v1/jobs/{id}/cancel")
        await site.delete(f"/v1/jobs/{id}")
        async for _ in reader:
            continue
    assert (await site.get(path)).status_code == 404


async def test_a_server_that_stops_ends_its_streams(site: Site) -> None:
    _, path = await start(site)
    async with listen(site, path) as reader, listen(site, "/v1/events") as feed:
        await reader.next()
        await feed.next()
        site.server.should_exit = True
        assert [event async for event in reader] == [event async for event in feed] == []


async def test_a_client_that_does_not_read_is_cut(
    site: Site, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.configure(settings=replace(jobs.settings, send_deadline=0.05))
    monkeypatch.setattr(streams, "PAUSE", 0.05)
    id, path = await start(site)
    await claim_all(jobs)
    served = site.server.server_state.connections
    before = set(served)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", site.port))
        deaf.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await until(lambda: served - before)
        store = await jobs.store()
        lines = (LogLine(1, "x" * 10_000),) * 30
        while served - before:
            # Each time it is told as much as is told at once, until nothing more fits into the buffers.
            await store.report([Beat(id, "w:1", log=lines)])
            await asyncio.sleep(0.05)
    assert not caplog.records


class Flaky(httpx.AsyncBaseTransport):
    """Cuts each answer after some bytes, wherever that is."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._random = random.Random(7)
        self.cuts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        left = self._random.randrange(1, 1500) if self.cuts < 120 else 10**9
        source = answer.stream
        flaky = self

        class Cut(httpx.AsyncByteStream):
            async def __aiter__(self):  # type: ignore[no-untyped-def]
                nonlocal left
                async for chunk in source:  # type: ignore[union-attr]
                    yield chunk[:left]
                    left -= len(chunk)
                    if left <= 0:
                        flaky.cuts += 1
                        raise httpx.ReadError("cut")

            async def aclose(self) -> None:
                await source.aclose()  # type: ignore[union-attr]

        return httpx.Response(answer.status_code, headers=answer.headers, stream=Cut(), extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def live(jobs: Jobs, id: str, rounds: int) -> None:
    """A job that is run, talks, is given back and run again, many times, and succeeds."""
    store = await jobs.store()
    await store.enroll(make_worker(), 100 * LEASE)
    for n in range(1, rounds + 1):
        await store.claim(ClaimId("w", n), ["default"], 1)
        for word in range(3):
            await store.report([Beat(id, f"w:{n}", Progress(10 * n + word), (LogLine(n, f"{n}.{word}"),))])
            await asyncio.sleep(0.01)
        if n < rounds:
            await tell(store, await read(store, id), Released(f"w:{n}"))
    await succeed(jobs, id, rounds)


async def test_cut_a_hundred_times_nothing_is_lost_and_nothing_comes_twice(site: Site, jobs: Jobs) -> None:
    id, path = await start(site)
    rounds, events = 60, []
    living = asyncio.create_task(live(jobs, id, rounds))
    flaky = Flaky()
    async with httpx.AsyncClient(base_url=site.base_url, transport=flaky, trust_env=False, timeout=30) as client:
        after = "1.0"
        while not after.endswith(".end"):
            with suppress(httpx.ReadError):
                async with listen(client, path, after) as reader:
                    async for event in reader:
                        events.append(event)
                        after = event.id
    await living
    assert flaky.cuts >= 100
    states = [event.data["version"] for event in events if event.event == "state"]
    final = (await jobs.get(id)).version
    assert states == sorted(set(states))
    assert len(states) == 2 * rounds
    assert states[-1] == final
    lines = [event.data["message"] for event in events if event.event == "log"]
    assert lines == [f"{n}.{word}" for n in range(1, rounds + 1) for word in range(3)] + ["bye"]
    assert [event.event for event in events].count("result") == 1
    assert {event.event for event in events} <= {"state", "log", "progress", "result"}


async def test_the_changes_of_all_jobs(site: Site, jobs: Jobs) -> None:
    async with listen(site, "/v1/events") as reader:
        first = await reader.next()
        assert (first.event, first.data) == ("changes", {"items": []})
        id, _ = await start(site)
        await claim_all(jobs)
        seen, last = [], first
        while len(seen) < 2:
            last = await reader.next()
            seen += last.data["items"]
    submitted = {"job": id, "version": 1, "state": "queued", "reason": "submitted", "done": False}
    claimed = {"job": id, "version": 2, "state": "running", "reason": "claimed", "done": False}
    assert seen == [submitted, claimed]
    await succeed(jobs, id)
    async with listen(site, "/v1/events", last.id) as reader:
        assert [item["version"] for item in (await reader.next()).data["items"]] == [3]
    json = {"Accept": "application/json"}
    page = (await site.get(f"/v1/events?after={first.id}", headers=json)).json()
    assert ([item["version"] for item in page["items"]], page["reset"]) == ([1, 2, 3], False)
    assert (await site.get(f"/v1/events?after={page['next']}", headers=json)).json()["items"] == []


async def test_a_cursor_that_is_none_is_reset(site: Site) -> None:
    page = (await site.get("/v1/events?after=nonsense", headers={"Accept": "application/json"})).json()
    assert (page["items"], page["reset"]) == ([], True)
    async with listen(site, "/v1/events", "nonsense") as reader:
        assert (await reader.next()).event == "reset"
