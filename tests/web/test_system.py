"""What tells of queues, workers and counts; and what is done to one job beside its start."""

import re
from typing import Any

import pytest

from async_job import Jobs
from async_job.clock import ManualClock
from async_job.core.lifecycle import Succeeded
from async_job.store.protocol import ClaimId
from support.jobs import LEASE, make_worker, read, tell
from support.web import Site, claim_all, make_jobs, serve

ADD = {"type": "add", "input": {"a": 1}}


async def add(site: Site, **fields: Any) -> str:
    id: str = (await site.post("/v1/jobs", json={**ADD, **fields})).json()["id"]
    return id


async def test_a_queue_is_paused_and_resumed(site: Site, jobs: Jobs) -> None:
    await add(site, queue="mail")
    assert (await site.post("/v1/queues/mail/pause")).json()["paused"] is True
    [queue] = (await site.get("/v1/queues")).json()["items"]
    assert (queue["name"], queue["queued"], queue["paused"], queue["started"], queue["rate"]) == (
        *("mail", 1, True, 0),
        None,
    )
    assert re.fullmatch(r"\d{4}-.*Z", queue["oldest_since"])
    store = await jobs.store()
    await store.enroll(make_worker(), LEASE)
    assert (await store.claim(ClaimId("w", 1), ["mail"], 9)).jobs == []
    assert (await site.post("/v1/queues/mail/resume")).json()["paused"] is False
    assert len((await store.claim(ClaimId("w", 2), ["mail"], 9)).jobs) == 1
    assert (await site.post("/v1/queues/new/resume")).json()["queued"] == 0
    for name in ("a b", "x" * 65, "%00"):
        assert (await site.post(f"/v1/queues/{name}/pause")).json()["code"] == "unknown_queue"


async def test_workers_and_counts(site: Site, jobs: Jobs) -> None:
    first = await add(site)
    await add(site)
    store = await jobs.store()
    await store.enroll(make_worker("other", host="far", queues=("a", "b"), concurrency=3), LEASE)
    await store.retire("other")
    await store.enroll(make_worker(version="1.2"), LEASE)
    await store.claim(ClaimId("w", 1), ["default"], 1)
    workers = (await site.get("/v1/workers")).json()["items"]
    assert [(worker["id"], worker["running"], worker["alive"]) for worker in workers] == [
        ("other", 0, False),
        ("w", 1, True),
    ]
    assert (workers[0]["queues"], workers[0]["lease_until"]) == (["a", "b"], None)
    stats = (await site.get("/v1/stats")).json()
    assert stats["states"] == dict.fromkeys(stats["states"], 0) | {"queued": 1, "running": 1}
    assert len(stats["states"]) == 7
    assert (stats["workers"], stats["slots"], stats["running"]) == (1, 10, 1)
    assert [(queue["name"], queue["queued"], queue["started"]) for queue in stats["queues"]] == [("default", 1, 1)]
    await tell(store, await read(store, first), Succeeded("w:1", b"1"))
    assert (await site.get("/v1/stats")).json()["states"]["succeeded"] == 1


async def test_metrics(site: Site, jobs: Jobs) -> None:
    await add(site, queue="a")
    await add(site)
    await claim_all(jobs)
    answer = await site.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert all(re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"]*"\})?', name) for name in samples)
    assert samples['async_job_jobs{state="running"}'] == "1"
    assert samples['async_job_queued_jobs{queue="a"}'] == "1"
    assert samples['async_job_started_jobs_total{queue="default"}'] == "1"
    assert samples["async_job_workers"] == "1"
    described = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert {name.partition("{")[0] for name in samples} == set(described)
    assert len(described) == len(set(described))


async def test_a_typed_start_takes_the_input_alone(site: Site) -> None:
    answer = await site.post("/v1/job-types/add/jobs", json={"a": 2, "b": 3})
    assert (answer.status_code, answer.json()["input"]) == (202, {"a": 2, "b": 3})
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert (await site.post("/v1/job-types/keep/jobs")).json()["input"] == {}
    for path, status, code in (("add", 422, "invalid_input"), ("nothing", 404, "unknown_type")):
        wrong = await site.post(f"/v1/job-types/{path}/jobs", json={"type": "add"})
        assert (wrong.status_code, wrong.json()["code"]) == (status, code)


async def test_a_typed_start_waits(busy_site: Site) -> None:
    answer = await busy_site.post("/v1/job-types/add/jobs", json={"a": 2}, headers={"Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["result"]) == (200, 3)


async def test_delete_is_for_ended_jobs(site: Site) -> None:
    id = await add(site)
    refused = await site.delete(f"/v1/jobs/{id}")
    assert (refused.status_code, refused.json()["code"], refused.json()["state"]) == (409, "not_finished", "queued")
    await site.post(f"/v1/jobs/{id}/cancel")
    gone = await site.delete(f"/v1/jobs/{id}")
    assert (gone.status_code, gone.content) == (204, b"")
    for again in (
        await site.delete(f"/v1/jobs/{id}"),
        await site.delete("/v1/jobs/x"),
        await site.get(f"/v1/jobs/{id}"),
    ):
        assert (again.status_code, again.json()["code"]) == (404, "job_not_found")


async def test_a_rerun_is_a_new_job(site: Site) -> None:
    id = await add(site, priority=2, unique_key="k", timeout=1.5, queue="mail")
    answer = await site.post(f"/v1/jobs/{id}/rerun")
    job = answer.json()
    assert (answer.status_code, job["state"], job["priority"], job["queue"]) == (202, "queued", 2, "mail")
    assert job["id"] != id
    assert (await site.post("/v1/jobs/x/rerun")).status_code == 404


async def test_the_place_in_the_queue(site: Site, jobs: Jobs) -> None:
    first, second = await add(site), await add(site)
    etag = (await site.get(f"/v1/jobs/{second}")).headers["etag"]
    assert (await site.get(f"/v1/jobs/{second}")).json()["queue_position"] == 2
    await site.post(f"/v1/jobs/{first}/cancel")
    later = await site.get(f"/v1/jobs/{second}")
    assert (later.json()["queue_position"], later.json()["queue_position_capped"]) == (1, False)
    # The place is no part of the version.
    assert later.headers["etag"] == etag
    assert (await site.get(f"/v1/jobs/{second}", headers={"If-None-Match": etag})).status_code == 304
    await claim_all(jobs)
    assert (await site.get(f"/v1/jobs/{second}")).json()["queue_position"] is None


async def test_far_behind_places_are_not_counted(site: Site) -> None:
    for _ in range(2):
        await site.post("/v1/jobs/batch", json={"jobs": [ADD] * 501})
    last = (await site.get(f"/v1/jobs/{await add(site)}")).json()
    assert (last["queue_position"], last["queue_position_capped"]) == (1000, True)


@pytest.mark.store("memory")
async def test_the_waiting_time_is_estimated() -> None:
    clock = ManualClock()
    jobs = make_jobs("memory://")
    jobs._clock = clock
    async with serve(jobs) as site:
        await site.post("/v1/jobs/batch", json={"jobs": [ADD] * 100})
        id = await add(site)
        unknown = await site.get(f"/v1/jobs/{id}")
        assert (unknown.json()["estimated_start"], unknown.headers["retry-after"]) == (None, "1")
        store = await jobs.store()
        await store.enroll(make_worker(), 10**9)
        for n in range(1, 6):
            await store.claim(ClaimId("w", n), ["default"], 4)
            clock.advance(2)
            known = await site.get(f"/v1/jobs/{id}")
        # 80 are before it, and two start a second.
        assert (known.json()["queue_position"], known.headers["retry-after"]) == (81, "41")
        assert known.json()["estimated_start"] == "2023-11-14T22:14:10.500Z"
        behind = await site.post("/v1/jobs", json=ADD)
        assert behind.headers["retry-after"] == "41"
        late = await add(site, delay=100)
        assert (await site.get(f"/v1/jobs/{late}")).json()["estimated_start"] == "2023-11-14T22:15:10.000Z"
