"""`GET /v1/jobs`: pages, filters, and pages while jobs come and go."""

from typing import Any

import pytest

from async_job import Jobs
from async_job.core.lifecycle import Succeeded
from support.jobs import read, tell
from support.web import Site, claim_all

ADD = {"type": "add", "input": {"a": 1}}


async def add(site: Site, n: int = 1, **fields: Any) -> list[str]:
    answer = await site.post("/v1/jobs/batch", json={"jobs": [{**ADD, **fields}] * n})
    return [item["job"]["id"] for item in answer.json()["items"]]


async def ids(site: Site, path: str) -> list[str]:
    """Of all pages, by the link from each to the next."""
    found: list[str] = []
    while path:
        answer = await site.get(path)
        assert answer.status_code == 200, answer.text
        found += [item["id"] for item in answer.json()["items"]]
        path = str(answer.links["next"]["url"]) if "next" in answer.links else ""
        assert bool(path) == (answer.json()["next_cursor"] is not None)
    return found


async def test_newest_first_and_oldest_first(site: Site) -> None:
    made = await add(site, 7)
    for limit in (1, 2, 3, 7, 200):
        assert await ids(site, f"/v1/jobs?limit={limit}") == made[::-1]
        assert await ids(site, f"/v1/jobs?limit={limit}&sort=oldest") == made


async def test_what_an_item_holds(site: Site) -> None:
    [id] = await add(site)
    [item] = (await site.get("/v1/jobs")).json()["items"]
    whole = (await site.get(f"/v1/jobs/{id}")).json()
    assert whole.items() >= item.items()
    assert set(whole) - set(item) == {
        *("input", "result", "queue_position", "queue_position_capped", "estimated_start"),
    }
    [item] = (await site.get("/v1/jobs?view=full")).json()["items"]
    assert (item["input"], item["result"]) == ({"a": 1}, None)


async def test_filters(site: Site, jobs: Jobs) -> None:
    [red] = await add(site, labels={"colour": "red", "size": "1"})
    [blue] = await add(site, labels={"colour": "blue", "size": "1"}, queue="mail")
    [late] = await add(site, delay=1000)
    [kept] = [(await site.post("/v1/jobs", json={"type": "keep"})).json()["id"]]
    [ended] = await add(site, queue="default")
    await site.post(f"/v1/jobs/{ended}/cancel")
    store = await jobs.store()
    moments = {id: (await site.get(f"/v1/jobs/{id}")).json() for id in (red, ended)}
    for query, expected in {
        "state=queued": [kept, blue, red],
        "state=queued,scheduled": [kept, late, blue, red],
        "state=cancelled": [ended],
        "type=keep": [kept],
        "queue=mail": [blue],
        "label.size=1": [blue, red],
        "label.size=1&label.colour=red": [red],
        "label.size=2": [],
        f"finished_after={moments[red]['created_at']}": [ended],
        f"finished_before={moments[red]['created_at']}": [],
        "created_after=2020-01-01T00:00:00%2B00:00&created_before=2020-01-02T00:00:00Z": [],
        "created_after=2020-01-01T00:00:00%2B00:00": [ended, kept, late, blue, red],
    }.items():
        assert await ids(site, f"/v1/jobs?{query}&limit=2") == expected, query
    await claim_all(jobs)
    await tell(store, await read(store, red), Succeeded("w:1", b"2"))
    assert await ids(site, "/v1/jobs?state=succeeded") == [red]


async def test_pages_while_jobs_come_and_go(site: Site, jobs: Jobs) -> None:
    """A job that stays as it was is seen exactly once, whatever happens around it."""
    made = await add(site, 40)
    seen: list[str] = []
    path, turn = "/v1/jobs?limit=5&state=queued", 0
    left = set(made)
    while path:
        answer = (await site.get(path)).json()
        seen += [item["id"] for item in answer["items"]]
        gone = made[turn], made[39 - turn]
        for id in gone:
            await site.post(f"/v1/jobs/{id}/cancel")
        left -= set(gone)
        await add(site, 3)
        turn += 1
        path = f"/v1/jobs?limit=5&state=queued&cursor={answer['next_cursor']}" if answer["next_cursor"] else ""
    assert len(seen) == len(set(seen))
    assert left <= set(seen)


async def test_a_search_stops_after_a_thousand_jobs_and_says_so(site: Site) -> None:
    [first] = await add(site, labels={"rare": "yes"})
    for _ in range(2):
        await add(site, 1000)
    page = (await site.get("/v1/jobs?label.rare=yes")).json()
    assert (page["items"], page["complete"]) == ([], False)
    assert await ids(site, "/v1/jobs?label.rare=yes") == [first]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=nothing", "invalid_option"),
        ("state=", "invalid_option"),
        ("limit=0", "invalid_request"),
        ("limit=201", "invalid_request"),
        ("limit=x", "invalid_request"),
        ("limit=21&view=full", "invalid_option"),
        ("view=half", "invalid_request"),
        ("sort=up", "invalid_request"),
        ("cursor=x", "invalid_option"),
        ("cursor=", "invalid_option"),
        # {"queued/default": [2 to the 70th, "x"]}
        ("cursor=eyJxdWV1ZWQvZGVmYXVsdCI6WzExODA1OTE2MjA3MTc0MTEzMDM0MjQsIngiXX0", "invalid_option"),
        ("created_after=yesterday", "invalid_request"),
        ("created_after=2020-01-01T00:00:00", "invalid_request"),
        ("colour=red", "invalid_request"),
        ("type=a&type=b", "invalid_request"),
        ("&".join(f"label.x{n}=1" for n in range(101)), "invalid_request"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_bad_queries(plain: Site, query: str, code: str) -> None:
    answer = await plain.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
