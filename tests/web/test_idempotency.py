"""`Idempotency-Key`: the same request, sent again, makes no second job."""

import asyncio

import pytest

from async_job import Jobs
from async_job.clock import ManualClock
from support.jobs import read
from support.web import Site, make_jobs, serve

KEY = {"Idempotency-Key": '"k-1"'}
ADD = {"type": "add", "input": {"a": 1}}


async def test_the_same_request_gets_the_same_job(site: Site) -> None:
    first = await site.post("/v1/jobs", json=ADD, headers=KEY)
    assert "idempotency-replayed" not in first.headers
    await site.post(f"/v1/jobs/{first.json()['id']}/cancel")
    again = await site.post("/v1/jobs", json=ADD, headers={"Idempotency-Key": "k-1"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.headers["location"] == first.headers["location"]
    # It is shown as it is now.
    assert (again.json()["id"], again.json()["state"]) == (first.json()["id"], "cancelled")
    waited = await site.post("/v1/jobs", json=ADD, headers={**KEY, "Prefer": "wait=5"})
    assert (waited.status_code, waited.json()["state"]) == (200, "cancelled")


async def test_another_body_is_refused(site: Site) -> None:
    id = (await site.post("/v1/jobs", json=ADD, headers=KEY)).json()["id"]
    answer = await site.post("/v1/jobs", json={"type": "add", "input": {"a": 2}}, headers=KEY)
    assert (answer.status_code, answer.json()["code"], answer.json()["job"]) == (422, "idempotency_key_reused", id)


async def test_a_key_is_for_one_route(site: Site) -> None:
    answers = [
        await site.post("/start-job/add", json={"a": 1}, headers=KEY),
        await site.post("/start-job", headers=KEY),
        await site.post("/v1/jobs", json=ADD, headers=KEY),
        await site.post("/v1/job-types/add/jobs", json={"a": 1}, headers=KEY),
    ]
    ids = {answer.json() if isinstance(answer.json(), str) else answer.json()["id"] for answer in answers}
    assert len(ids) == 4
    again = await site.post("/start-job/add", json={"a": 1}, headers=KEY)
    assert (again.json(), again.headers["idempotency-replayed"]) == (answers[0].json(), "true")
    other = await site.post("/start-job/keep", json={"a": 1}, headers=KEY)
    assert other.status_code == 422


async def test_a_rerun_is_repeated_safely(site: Site, jobs: Jobs) -> None:
    id = (await site.post("/v1/jobs", json={**ADD, "priority": 3, "labels": {"a": "b"}})).json()["id"]
    one = await site.post(f"/v1/jobs/{id}/rerun", headers=KEY)
    two = await site.post(f"/v1/jobs/{id}/rerun", headers=KEY)
    assert (one.status_code, two.headers["idempotency-replayed"]) == (202, "true")
    assert one.json()["id"] == two.json()["id"] != id
    again = await read(await jobs.store(), one.json()["id"])
    assert (again.input, again.priority, again.labels) == (b'{"a":1}', 3, {"a": "b"})


async def test_two_hundred_at_once_make_one_job(site: Site, jobs: Jobs) -> None:
    async with serve(jobs) as other:
        sites = (site, other)
        requests = [sites[n % 2].post("/v1/jobs", json=ADD, headers=KEY) for n in range(200)]
        answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert sum((await (await jobs.store()).counts()).states.values()) == 1


async def test_a_job_that_is_no_longer_kept(site: Site) -> None:
    id = (await site.post("/v1/jobs", json=ADD, headers=KEY)).json()["id"]
    started = (await site.post("/start-job", headers=KEY)).json()
    for gone in (id, started):
        await site.post(f"/v1/jobs/{gone}/cancel")
        assert (await site.delete(f"/v1/jobs/{gone}")).status_code == 204
    for path, body, gone in (("/v1/jobs", ADD, id), ("/start-job", None, started)):
        answer = await site.post(path, json=body, headers=KEY) if body else await site.post(path, headers=KEY)
        assert (answer.status_code, answer.json()["code"], answer.json()["job"]) == (410, "job_gone", gone)


async def test_after_a_day_a_key_is_free() -> None:
    clock = ManualClock()
    jobs = make_jobs("memory://")
    jobs._clock = clock
    async with serve(jobs) as site:
        first = await site.post("/v1/jobs", json=ADD, headers=KEY)
        clock.advance(24 * 3600 - 1)
        assert (await site.post("/v1/jobs", json=ADD, headers=KEY)).json()["id"] == first.json()["id"]
        clock.advance(1)
        later = await site.post("/v1/jobs", json={"type": "add", "input": {"a": 9}}, headers=KEY)
        assert later.json()["id"] != first.json()["id"]


async def test_what_was_refused_uses_up_no_key(site: Site) -> None:
    bad = await site.post("/v1/jobs", json={"type": "add", "input": {}}, headers=KEY)
    assert bad.status_code == 422
    assert (await site.post("/v1/jobs", json=ADD, headers=KEY)).status_code == 202


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("key", ["k", '"k"', "!~", "a" * 255, 'a"b'])
async def test_keys_that_are_taken(plain: Site, key: str) -> None:
    assert (await plain.post("/start-job", headers={"Idempotency-Key": key})).status_code == 200
