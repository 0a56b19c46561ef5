"""`POST /v1/jobs/batch`: many jobs in one request, each on its own."""

from typing import Any

from async_job import Jobs
from support.web import Site

KEY = {"Idempotency_Key": "k"}


def add(a: object, **fields: Any) -> dict[str, Any]:
    return {"type": "add", "input": {"a": a}, **fields}


async def batch(site: Site, *entries: dict[str, Any], **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await site.post("/v1/jobs/batch", json={"jobs": entries}, headers=named)


async def stored(jobs: Jobs) -> int:
    return sum((await (await jobs.store()).counts()).states.values())


async def test_each_entry_gets_its_job_or_its_problem(site: Site, jobs: Jobs) -> None:
    entries = [
        add(1),
        add("x"),
        {"type": "nothing"},
        add(2, priority=99),
        add(3, unique_key="u"),
        add(4, unique_key="u"),
    ]
    entries.append(add(5, unique_key="u", on_conflict="reject"))
    answer = await batch(site, *entries)
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["status"] for item in items] == [202, 422, 422, 422, 202, 202, 409]
    codes = [item["problem"]["code"] for item in items if "problem" in item]
    assert codes == ["invalid_input", "unknown_type", "invalid_option", "unique_key_held"]
    assert items[0]["job"]["input"] == {"a": 1}
    assert items[4]["job"]["id"] == items[5]["job"]["id"]
    assert await stored(jobs) == 2


async def test_one_key_is_for_the_whole_batch(site: Site, jobs: Jobs) -> None:
    entries = [{"type": "nothing"}, *(add(n) for n in range(5))]
    first = await batch(site, *entries, Idempotency_Key="k")
    assert "idempotency-replayed" not in first.headers
    again = await batch(site, *entries, Idempotency_Key="k")
    assert again.json()["items"] == first.json()["items"]
    assert await stored(jobs) == 5
    # One more, one less, others: nothing of it is stored.
    for others in ([*entries, add(6)], entries[:-1], [add(7), *entries], [add(8)]):
        answer = await batch(site, *others, Idempotency_Key="k")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await stored(jobs) == 5
    gone = first.json()["items"][3]["job"]["id"]
    await site.post(f"/v1/jobs/{gone}/cancel")
    await site.delete(f"/v1/jobs/{gone}")
    items = (await batch(site, *entries, Idempotency_Key="k")).json()["items"]
    assert [item["status"] for item in items] == [422, 202, 202, 410, 202, 202]


async def test_each_entry_keeps_its_job_whatever_became_of_those_before_it(site: Site, jobs: Jobs) -> None:
    [held] = (await batch(site, add(0, unique_key="u"))).json()["items"]
    entries = [add(1, unique_key="u"), add(2), add(3)]
    first = (await batch(site, *entries, **KEY)).json()["items"]
    assert [item["job"]["input"]["a"] for item in first] == [0, 2, 3]
    assert (await batch(site, *entries, **KEY)).json()["items"] == first
    assert await stored(jobs) == 3
    for others in ([add(4), *entries], [add(4), *entries[1:]], [add(4)]):
        answer = await batch(site, *others, **KEY)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    # The one before it gets a job of its own once it can, and keeps it.
    await site.post(f"/v1/jobs/{held['job']['id']}/cancel")
    for _ in range(2):
        again = (await batch(site, *entries, **KEY)).json()["items"]
        assert [item["job"]["input"]["a"] for item in again] == [1, 2, 3]
        assert again[1:] == first[1:]
    assert await stored(jobs) == 4


async def test_a_batch_that_was_replayed_whole_says_so(site: Site) -> None:
    await batch(site, add(1), add(2), Idempotency_Key="k")
    assert (await batch(site, add(1), add(2), Idempotency_Key="k")).headers["idempotency-replayed"] == "true"


async def test_limits(site: Site, jobs: Jobs) -> None:
    many = await batch(site, *(add(n) for n in range(1000)))
    assert {item["status"] for item in many.json()["items"]} == {202}
    assert await stored(jobs) == 1000
    for entries in ([], [add(1)] * 1001):
        answer = await batch(site, *entries)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    big = await batch(site, {"type": "keep", "input": {"anything": "x" * 300_000}}, add(1))
    assert [item["status"] for item in big.json()["items"]] == [413, 202]
    assert (await site.post("/v1/jobs/batch", json=[add(1)])).status_code == 422
