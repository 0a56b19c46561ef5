"""A job belongs to the key that made it: for other keys there is no such job."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from async_job import Jobs
from async_job.access.keys import Keys
from support.web import Site, claim_all, serve


def make_jobs(store_url: str) -> Jobs:
    jobs = Jobs(store=store_url)

    @jobs.job
    async def add(a: int, b: int = 1) -> int:
        return a + b

    return jobs


@pytest.fixture
def jobs(store_url: str) -> Jobs:
    return make_jobs(store_url)


@pytest.fixture
async def site(jobs: Jobs) -> AsyncIterator[Site]:
    """Keys are made before the first request: the server has not looked for them yet."""
    async with serve(jobs) as site:
        yield site


class Caller:
    """Somebody with a key of his own."""

    def __init__(self, site: Site, text: str) -> None:
        self._site = site
        self.headers = {"Authorization": f"Bearer {text}", "Accept": "application/json"}

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return await self._site.request(method, path, json=body, headers=headers, **more)

    async def start(self, **options: Any) -> str:
        answer = await self("POST", "/v1/jobs", {"type": "add", "input": {"a": 1}, **options})
        assert answer.status_code == 202, answer.text
        id: str = answer.json()["id"]
        return id

    async def listed(self) -> set[str]:
        return {job["id"] for job in (await self("GET", "/v1/jobs")).json()["items"]}


async def caller(jobs: Jobs, site: Site, *scopes: str) -> Caller:
    given = scopes or ("create", "read", "manage")
    _, text = await Keys(await jobs.store()).create("somebody", given)
    return Caller(site, text)


@pytest.fixture
async def ada(jobs: Jobs, site: Site) -> Caller:
    return await caller(jobs, site)


@pytest.fixture
async def bob(jobs: Jobs, site: Site) -> Caller:
    return await caller(jobs, site)


@pytest.fixture
async def admin(jobs: Jobs, site: Site) -> Caller:
    return await caller(jobs, site, "admin")


async def test_a_job_has_the_key_as_its_owner(jobs: Jobs, ada: Caller) -> None:
    id = await ada.start()
    assert ada.headers["Authorization"].startswith(f"Bearer aj_{(await jobs.get(id)).owner}_")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/{id}"),
        ("GET", "/v1/jobs/{id}/result"),
        ("GET", "/v1/jobs/{id}/events"),
        ("POST", "/v1/jobs/{id}/cancel"),
        ("POST", "/v1/jobs/{id}/retry"),
        ("POST", "/v1/jobs/{id}/rerun"),
        ("DELETE", "/v1/jobs/{id}"),
        ("POST", "/v1/tickets"),
    ],
)
async def test_anothers_job_is_as_unknown(
    jobs: Jobs, ada: Caller, bob: Caller, admin: Caller, method: str, path: str
) -> None:
    id, unknown = await ada.start(), "0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10"
    before = await jobs.get(id)
    for headers in ({}, {"Prefer": "wait=30"}, {"Idempotency-Key": "once"}):
        answers = []
        for one in (id, unknown):
            body = {"job": one} if path == "/v1/tickets" else None
            answers.append(await bob(method, path.format(id=one), body, headers=headers))
        theirs, nobodys = (answer.json() | {"request_id": ""} for answer in answers)
        assert theirs["code"] == "job_not_found"
        assert theirs["status"] == 404
        assert theirs["detail"].replace(id, unknown) == nobodys["detail"]
        assert theirs | {"detail": ""} == nobodys | {"detail": ""}
    assert await jobs.get(id) == before
    body = {"job": id} if path == "/v1/tickets" else None
    for own in (ada, admin):
        assert (await own(method, path.format(id=id), body)).status_code != 404
        if method == "DELETE":
            await own("POST", f"/v1/jobs/{id}/cancel")


async def test_the_original_status_is_empty_for_others(ada: Caller, bob: Caller, admin: Caller) -> None:
    id = (await ada("POST", "/start-job/add", {"a": 1})).json()
    assert (await bob("GET", f"/status-job/{id}")).json() is None
    assert (await bob("GET", f"/status-job/{id}", headers={"Accept": "*/*"})).text == ""
    assert (await ada("GET", f"/status-job/{id}")).json() == "PENDING"
    assert (await admin("GET", f"/status-job/{id}")).json() == "PENDING"


async def test_the_original_start_makes_a_job_of_ones_own(jobs: Jobs, ada: Caller, bob: Caller) -> None:
    ids = {(await ada("POST", "/start-job")).json(), (await ada("POST", "/start-job/add", {"a": 1})).json()}
    assert await ada.listed() == ids
    assert await bob.listed() == set()
    assert len({(await jobs.get(id)).owner for id in ids}) == 1


async def test_lists_hold_ones_own(jobs: Jobs, site: Site, ada: Caller, bob: Caller, admin: Caller) -> None:
    nobodys = (await jobs.submit("add", b'{"a":1}')).id
    hers = {await ada.start() for _ in range(3)}
    batch = await ada("POST", "/v1/jobs/batch", {"jobs": [{"type": "add", "input": {"a": 1}}] * 2})
    hers |= {item["job"]["id"] for item in batch.json()["items"]}
    hers.add((await ada("POST", "/v1/job-types/add/jobs", {"a": 1})).json()["id"])
    hers.add((await ada("POST", f"/v1/jobs/{min(hers)}/rerun")).json()["id"])
    his = {await bob.start()}
    assert len(hers) == 7
    assert await ada.listed() == hers
    assert await bob.listed() == his
    assert await admin.listed() == {nobodys, *hers, *his}
    page = (await bob("GET", "/v1/jobs?limit=1&state=queued,running&queue=default")).json()
    assert {job["id"] for job in page["items"]} == his


@pytest.mark.parametrize("action", ["cancel", "retry", "delete"])
async def test_bulk_actions_touch_ones_own(jobs: Jobs, ada: Caller, bob: Caller, admin: Caller, action: str) -> None:
    hers, his = await ada.start(), await bob.start()
    if action != "cancel":
        for id in (hers, his):
            await jobs.cancel(id)
    before = await jobs.get(hers)
    for body in ({"ids": [hers]}, {"filter": {"type": "add"}, "dry_run": True}, {"all": True, "dry_run": True}):
        answer = (await bob("POST", f"/v1/jobs/bulk/{action}", body)).json()
        assert answer["matched"] == (0 if "ids" in body else 1)
    assert (await bob("POST", f"/v1/jobs/bulk/{action}", {"all": True})).json()["changed"] == 1
    assert await jobs.get(hers) == before
    assert (await admin("POST", f"/v1/jobs/bulk/{action}", {"ids": [hers]})).json()["changed"] == 1


async def test_an_idempotency_key_is_each_owners_own(ada: Caller, bob: Caller) -> None:
    for path, body in (
        ("/v1/jobs", {"type": "add", "input": {"a": 1}}),
        ("/v1/job-types/add/jobs", {"a": 1}),
    ):
        made = [await who("POST", path, body, headers={"Idempotency-Key": "k"}) for who in (ada, bob, ada)]
        assert [answer.status_code for answer in made] == [202, 202, 202]
        first, other, again = (answer.json()["id"] for answer in made)
        assert first == again != other
        assert ["idempotency-replayed" in answer.headers for answer in made] == [False, False, True]
    answers = [await who("POST", "/start-job", headers={"Idempotency-Key": "k"}) for who in (ada, bob, ada)]
    first, other, again = (answer.json() for answer in answers)
    assert first == again != other


@pytest.mark.parametrize("on_conflict", ["return_existing", "reject", "replace"])
async def test_a_unique_key_is_each_owners_own(jobs: Jobs, ada: Caller, bob: Caller, on_conflict: str) -> None:
    nobodys = (await jobs.function("add").with_options(unique_key="nightly").submit(1)).id
    hers = await ada.start(unique_key="nightly")
    his = await bob.start(unique_key="nightly", on_conflict=on_conflict)
    assert len({nobodys, hers, his}) == 3
    assert not any([(await jobs.get(id)).done for id in (nobodys, hers)])
    body = {"type": "add", "input": {"a": 1}, "unique_key": "nightly", "on_conflict": on_conflict}
    again = await bob("POST", "/v1/jobs", body)
    if on_conflict == "reject":
        assert (again.status_code, again.json()["holder"]) == (409, his)
        assert hers not in again.text
        assert "'nightly'" in again.json()["detail"]
    else:
        assert (again.json()["id"] == his) == (on_conflict == "return_existing")


async def test_a_retry_meets_ones_own_unique_key_alone(jobs: Jobs, ada: Caller, bob: Caller) -> None:
    hers = await ada.start(unique_key="k")
    await ada("POST", f"/v1/jobs/{hers}/cancel")
    await bob.start(unique_key="k")
    assert (await ada("POST", f"/v1/jobs/{hers}/retry")).status_code == 202


async def test_a_url_as_webhook_needs_its_scope(jobs: Jobs, site: Site, ada: Caller, admin: Caller) -> None:
    named = await caller(jobs, site, "create", "webhook")
    body = {"type": "add", "input": {"a": 1}, "webhook": "https://example.com/hook"}
    # No key for secrets is set up here, which is found out after the scope.
    for who, status, code in (
        (ada, 403, "scope_missing"),
        (named, 422, "invalid_option"),
        (admin, 422, "invalid_option"),
    ):
        answer = await who("POST", "/v1/jobs", body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        [item] = (await who("POST", "/v1/jobs/batch", {"jobs": [body]})).json()["items"]
        assert (item["status"], item["problem"]["code"]) == (status, code)
    answer = await ada("POST", "/v1/jobs", {**body, "webhook": "endpoint"})
    assert answer.json()["code"] == "invalid_option"


async def test_jobs_from_before_there_were_keys_are_the_admins(jobs: Jobs, site: Site) -> None:
    id = (await jobs.submit("add", b'{"a":1}')).id
    somebody, admin = await caller(jobs, site), await caller(jobs, site, "admin")
    assert (await somebody("GET", f"/v1/jobs/{id}")).status_code == 404
    assert (await admin("GET", f"/v1/jobs/{id}")).status_code == 200


async def test_a_job_that_is_let_run_stays_ones_own(jobs: Jobs, ada: Caller, bob: Caller) -> None:
    id = await ada.start()
    await claim_all(jobs)
    assert (await ada("GET", f"/v1/jobs/{id}")).json()["state"] == "running"
    assert (await bob("GET", f"/v1/jobs/{id}")).status_code == 404
