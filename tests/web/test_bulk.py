"""`POST /v1/jobs/bulk/…`: the same done to many jobs."""

from typing import Any

import pytest

from async_job import Jobs
from async_job.core.lifecycle import Failed
from support.jobs import error, read, tell
from support.web import Site, claim_all

ADD = {"type": "add", "input": {"a": 1}}


async def add(site: Site, n: int, **fields: Any) -> list[str]:
    answer = await site.post("/v1/jobs/batch", json={"jobs": [{**ADD, **fields}] * n})
    return [item["job"]["id"] for item in answer.json()["items"]]


async def bulk(site: Site, action: str, **body: Any) -> tuple[int, int, bool]:
    answer = await site.post(f"/v1/jobs/bulk/{action}", json=body)
    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    assert outcome["complete"] == (outcome["next_cursor"] is None)
    return outcome["matched"], outcome["changed"], outcome["complete"]


async def states(jobs: Jobs) -> dict[str, int]:
    counts = await (await jobs.store()).counts()
    return {str(state): n for state, n in counts.states.items() if n}


async def test_by_ids(site: Site, jobs: Jobs) -> None:
    made = await add(site, 5)
    unknown = "5c9f2f45-0aef-48c1-8c9b-2f4d7b5f5a61"
    assert await bulk(site, "cancel", ids=[*made[:3], made[0].upper(), unknown, "x"], dry_run=True) == (3, 3, True)
    assert await states(jobs) == {"queued": 5}
    assert await bulk(site, "cancel", ids=[*made[:3], made[0].upper(), unknown, "x"]) == (3, 3, True)
    assert await states(jobs) == {"queued": 2, "cancelled": 3}
    # What is done already, or cannot be, is not matched.
    assert await bulk(site, "cancel", ids=made[:3]) == (0, 0, True)
    assert await bulk(site, "delete", ids=made, dry_run=True) == (3, 3, True)
    assert await bulk(site, "retry", ids=made[1:]) == (2, 2, True)
    assert await bulk(site, "delete", ids=made) == (1, 1, True)
    assert await states(jobs) == {"queued": 4}
    assert await bulk(site, "delete", ids=[]) == (0, 0, True)


async def test_by_a_filter(site: Site, jobs: Jobs) -> None:
    await add(site, 3, labels={"colour": "red"})
    await add(site, 2, labels={"colour": "blue"}, queue="mail")
    await add(site, 1, delay=1000)
    assert await bulk(site, "cancel", filter={"labels": {"colour": "red"}}, dry_run=True) == (3, 3, True)
    assert await bulk(site, "cancel", filter={"labels": {"colour": "red"}}) == (3, 3, True)
    assert await bulk(site, "cancel", filter={"state": ["scheduled", "succeeded"]}) == (1, 1, True)
    assert await bulk(site, "cancel", filter={"state": ["succeeded"]}) == (0, 0, True)
    assert await bulk(site, "retry", filter={"type": "add"}) == (4, 4, True)
    assert await bulk(site, "cancel", all=True) == (6, 6, True)
    assert await bulk(site, "delete", filter={}, all=True) == (6, 6, True)
    assert await states(jobs) == {}


async def test_running_jobs_are_asked_to_stop(site: Site, jobs: Jobs) -> None:
    [id] = await add(site, 1)
    await claim_all(jobs)
    assert await bulk(site, "cancel", ids=[id]) == (1, 1, True)
    job = await read(await jobs.store(), id)
    assert (job.state, job.cancel_requested_at is not None) == ("running", True)
    assert await bulk(site, "cancel", ids=[id]) == (1, 0, True)


async def test_a_retry_that_meets_a_unique_key_is_not_done(site: Site, jobs: Jobs) -> None:
    [first] = await add(site, 1, unique_key="k")
    await claim_all(jobs)
    store = await jobs.store()
    await tell(store, await read(store, first), Failed("w:1", error(retryable=False)))
    await add(site, 1, unique_key="k")
    assert await bulk(site, "retry", ids=[first]) == (1, 0, True)


async def test_many_are_done_in_several_calls(site: Site, jobs: Jobs) -> None:
    for _ in range(2):
        await add(site, 1000)
    await add(site, 100)
    body: dict[str, Any] = {"filter": {"type": "add"}}
    changed = []
    while True:
        answer = (await site.post("/v1/jobs/bulk/cancel", json=body)).json()
        changed.append(answer["changed"])
        if answer["complete"]:
            break
        body["cursor"] = answer["next_cursor"]
    assert changed == [1000, 1000, 100]
    assert await states(jobs) == {"cancelled": 2100}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_option"),
        ({"filter": {}}, "invalid_option"),
        ({"filter": {"state": []}}, "invalid_option"),
        ({"ids": [], "filter": {"type": "add"}}, "invalid_option"),
        ({"ids": [], "all": True}, "invalid_option"),
        ({"ids": ["x"] * 1001}, "invalid_request"),
        ({"ids": "x"}, "invalid_request"),
        ({"filter": {"state": ["nothing"]}}, "invalid_request"),
        ({"filter": {"colour": "red"}}, "invalid_request"),
        ({"all": True, "cursor": "x"}, "invalid_option"),
        ([], "invalid_request"),
    ],
)
@pytest.mark.parametrize("action", ["cancel", "retry", "delete"])
@pytest.mark.asyncio(loop_scope="module")
async def test_bad_bodies(plain: Site, action: str, body: Any, code: str) -> None:
    answer = await plain.post(f"/v1/jobs/bulk/{action}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
