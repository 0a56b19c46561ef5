"""Submits are turned away while a queue is too long, or its jobs have waited too long."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from async_job import Jobs
from async_job.clock import ManualClock
from async_job.store.protocol import ClaimId
from support.jobs import make_worker
from support.web import Site, make_jobs, serve

ADD = {"type": "add", "input": {"a": 1}}


@asynccontextmanager
async def limited(store_url: str, **settings: Any) -> AsyncIterator[tuple[Site, Jobs, ManualClock]]:
    clock = ManualClock()
    jobs = make_jobs(store_url, **settings)
    jobs._clock = clock
    async with serve(jobs) as site:
        yield site, jobs, clock


def check_full(answer: httpx.Response, retry_after: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert answer.headers["retry-after"] == retry_after


async def stored(jobs: Jobs) -> int:
    return sum((await (await jobs.store()).counts()).states.values())


async def test_a_full_queue_takes_no_more(store_url: str) -> None:
    async with limited(store_url, max_queued=5) as (site, jobs, clock):
        ways: list[Callable[[], Any]] = [
            lambda: site.post("/v1/jobs", json=ADD),
            lambda: site.post("/start-job/add", json={"a": 1}),
            lambda: site.post("/v1/job-types/add/jobs", json={"a": 1}),
            lambda: site.post("/v1/jobs/batch", json={"jobs": [ADD]}),
        ]
        first = (await ways[0]()).json()["id"]
        for way in ways:
            assert (await way()).status_code in (200, 202)
        for way in [*ways, lambda: site.post(f"/v1/jobs/{first}/rerun")]:
            check_full(await way(), "5")
        assert await stored(jobs) == 5
        # Another queue is not full.
        assert (await site.post("/v1/jobs", json={**ADD, "queue": "mail"})).status_code == 202
        # One that moves has room as soon as it is looked at again.
        store = await jobs.store()
        await store.enroll(make_worker(), 10**9)
        await store.claim(ClaimId("w", 1), ["default"], 2)
        clock.advance(1)
        answers = [await ways[0]() for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 503]


async def test_a_full_queue_does_not_hold_up_a_batchs_jobs_for_others(store_url: str) -> None:
    async with limited(store_url, max_queued=2) as (site, jobs, _):
        entries = [ADD, {**ADD, "queue": "mail"}, {"type": "none"}, {**ADD, "queue": "mail"}, ADD, ADD]
        answer = await site.post("/v1/jobs/batch", json={"jobs": entries})
        items = answer.json()["items"]
        assert [item["status"] for item in items] == [503, 202, 422, 202, 503, 503]
        assert (items[0]["problem"]["code"], items[0]["problem"]["queue"]) == ("queue_full", "default")
        assert await stored(jobs) == 2


async def test_a_batch_that_filled_a_queue_itself_is_never_told_that_its_jobs_are_refused(store_url: str) -> None:
    async with limited(store_url, max_queued=2) as (site, jobs, clock):
        body, key = {"jobs": [ADD, {**ADD, "queue": "mail"}, ADD]}, {"Idempotency-Key": "k"}
        first = (await site.post("/v1/jobs/batch", json=body, headers=key)).json()["items"]
        assert [item["status"] for item in first] == [202] * 3
        check_full(await site.post("/v1/jobs/batch", json=body, headers=key), "5")
        await site.post(f"/v1/jobs/{first[0]['job']['id']}/cancel")
        await site.post(f"/v1/jobs/{first[2]['job']['id']}/cancel")
        clock.advance(1)
        again = (await site.post("/v1/jobs/batch", json=body, headers=key)).json()["items"]
        assert [item["job"]["id"] for item in again] == [item["job"]["id"] for item in first]
        assert await stored(jobs) == 3


async def test_a_queue_takes_all_of_a_batch_or_none(store_url: str) -> None:
    async with limited(store_url, max_queued=5) as (site, jobs, _):
        check_full(await site.post("/v1/jobs/batch", json={"jobs": [ADD] * 6}), "5")
        assert await stored(jobs) == 0
        assert (await site.post("/v1/jobs/batch", json={"jobs": [ADD] * 5})).status_code == 200


async def test_a_burst_does_not_slip_in_between_two_looks(store_url: str) -> None:
    async with limited(store_url, max_queued=20) as (site, jobs, _):
        answers = await asyncio.gather(*(site.post("/v1/jobs", json=ADD) for _ in range(60)))
        assert sorted(answer.status_code for answer in answers) == [202] * 20 + [503] * 40
        assert await stored(jobs) == 20


async def test_how_long_to_wait_is_told_by_the_rate(store_url: str) -> None:
    async with limited(store_url, max_queued=10) as (site, jobs, clock):
        await site.post("/v1/jobs/batch", json={"jobs": [ADD] * 10})
        store = await jobs.store()
        await store.enroll(make_worker(), 10**9)
        clock.advance(1)
        check_full(await site.post("/v1/jobs", json=ADD), "5")
        await store.claim(ClaimId("w", 1), ["default"], 2)
        clock.advance(10)
        # One starts in five seconds.
        check_full(await site.post("/v1/jobs/batch", json={"jobs": [ADD] * 4}), "10")


async def test_a_queue_that_waits_too_long_takes_no_more(store_url: str) -> None:
    async with limited(store_url, max_oldest=60) as (site, jobs, clock):
        assert (await site.post("/v1/jobs", json=ADD)).status_code == 202
        clock.advance(60)
        assert (await site.post("/v1/jobs", json=ADD)).status_code == 202
        clock.advance(1)
        check_full(await site.post("/v1/jobs", json=ADD), "5")
        assert await stored(jobs) == 2
