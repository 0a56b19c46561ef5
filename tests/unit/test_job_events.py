"""What a stream tells is computed from the job's record: wherever it is cut, nothing is told twice or left out."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from async_job.clock import ManualClock
from async_job.core.job import FINISHED, LogLine, Progress, State
from async_job.core.lifecycle import (
    CancelRequested,
    Event,
    Failed,
    Released,
    RetryRequested,
    Stopped,
    Succeeded,
    decide,
)
from async_job.errors import Conflict
from async_job.store.memory.store import MemoryStore
from async_job.store.protocol import Beat, ClaimId
from async_job.web.job_events import JobEvent, Log, Seen, news, read_id, snapshot
from support.jobs import error, make_job, make_worker

STEPS = ("claim", "progress", "log", "both", "cancel", "retry", "fail", "give up", "release", "succeed", "stop", "wait")


class Story:
    """A job in a memory store, to which things happen."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.claims = 0
        self.words = 0

    async def begin(self) -> None:
        await self.store.submit([make_job(self.clock.now(), "a")])
        await self.store.enroll(make_worker(), 10**9)

    async def happen(self, step: str) -> None:
        [job] = await self.store.get(["a"])
        assert job is not None
        token = job.token or ""
        self.words += 1
        line, progress = LogLine(self.words, f"line {self.words}"), Progress(self.words)
        match step:
            case "claim":
                self.claims += 1
                await self.store.claim(ClaimId("w", self.claims), ["default"], 1)
            case "progress":
                await self.store.report([Beat("a", token, progress)])
            case "log":
                await self.store.report([Beat("a", token, log=(line,))])
            case "both":
                await self.store.report([Beat("a", token, progress, (line, line))])
            case "wait":
                self.clock.advance(400)
            case _:
                events: dict[str, Event] = {
                    "cancel": CancelRequested(),
                    "retry": RetryRequested(),
                    "fail": Failed(token, error(), progress=progress, log=(line,)),
                    "give up": Failed(token, error(retryable=False)),
                    "release": Released(token, log=(line,)),
                    "succeed": Succeeded(token, b"1", progress=progress),
                    "stop": Stopped(token),
                }
                with suppress(Conflict):
                    decided = decide(job, events[step], self.clock.now())
                    await self.store.apply([decided] if decided else [])

    async def read(self, seen: Seen | None) -> list[JobEvent]:
        [job] = await self.store.get(["a"])
        assert job is not None
        after = seen.lines if seen else 0
        log = Log(after + 1, await self.store.log("a", after))
        told = news(job, log, seen, "") if seen else None
        return snapshot(job, log, "", reset=seen is not None) if told is None else told


async def follow(steps: list[tuple[str, bool, float]]) -> tuple[list[JobEvent], list[Any], list[Any]]:
    """Lets the steps happen; at some of them the reader looks, and keeps only a part of what it is told."""
    story = Story()
    await story.begin()
    start = (await story.store.changes(None, 0)).cursor
    seen: Seen | None = None
    told: list[JobEvent] = []
    for step, looks, part in [*steps, ("wait", True, 1.0)]:
        await story.happen(step)
        if looks or seen is None:
            events = await story.read(seen)
            kept = events[: max(1 if seen is None else 0, round(part * len(events)))]
            told += kept
            seen = read_id(kept[-1].id) if kept else seen
    return told, (await story.store.changes(start, 0)).entries, await story.store.log("a")


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.booleans(), st.floats(0, 1)), max_size=25))
def test_each_state_and_line_is_told_once_wherever_it_is_cut(steps: list[tuple[str, bool, float]]) -> None:
    told, entries, log = asyncio.run(follow(steps))
    first, *rest = told
    if any(event.event == "reset" for event in rest):
        # So much happened between two looks that the record no longer knows it all.
        return
    snapshot_version = first.data.job.version  # type: ignore[union-attr]
    states = [(event.data.version, event.data.state) for event in rest if event.event == "state"]  # type: ignore[union-attr]
    assert states == [(entry.version, entry.state) for entry in entries if entry.version > snapshot_version]
    lines = [event.data.message for event in rest if event.event == "log"]  # type: ignore[union-attr]
    before = [line.message for line in first.data.log]  # type: ignore[union-attr]
    assert before + lines == [line.message for line in log]
    assert len({event.id for event in told}) == len(told)


@settings(max_examples=200)
@example([("claim", True, 1.0), ("progress", False, 1.0), ("cancel", False, 1.0)])
@example([("claim", True, 1.0), ("cancel", False, 1.0), ("progress", False, 1.0), ("stop", False, 1.0)])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.booleans(), st.just(1.0)), max_size=25))
def test_the_latest_progress_is_known_to_who_has_listened(steps: list[tuple[str, bool, float]]) -> None:
    async def watched() -> None:
        story = Story()
        await story.begin()
        seen = None
        known: Any = None
        for step, looks, _ in [("wait", True, 1.0), *steps, ("wait", True, 1.0)]:
            await story.happen(step)
            for event in await story.read(seen) if looks else ():
                seen = read_id(event.id) or seen
                match event.event:
                    case "snapshot":
                        known = event.data.job.progress  # type: ignore[union-attr]
                    case "result":
                        known = event.data.progress  # type: ignore[union-attr]
                    case "progress":
                        assert event.data != known, "told twice"
                        known = event.data
                    case "state" if event.data.state not in (State.RUNNING, *FINISHED):  # type: ignore[union-attr]
                        known = None
        [job] = await story.store.get(["a"])
        assert job is not None
        assert (known and known.current) == (job.progress and job.progress.current)

    asyncio.run(watched())


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.2.3", "1.2.end ", "-1.0", "1.0.END", "9" * 16 + ".0", "x"])
def test_what_is_no_id(text: str) -> None:
    assert read_id(text) is None


def test_ids_are_read_back() -> None:
    for seen in (Seen(1, 0), Seen(12, 345), Seen(12, 345, True)):
        assert read_id(seen.id) == seen
