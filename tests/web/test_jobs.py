"""`/v1`: single jobs, from their submit to their end."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from async_job import Jobs, asgi
from async_job.core.job import Progress
from async_job.core.lifecycle import Failed, Succeeded
from async_job.store.protocol import Beat
from support.jobs import error, read, tell
from support.until import until
from support.web import Site, claim_all, serve

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


async def submit(site: Site, type: str = "add", **fields: object) -> str:
    body = {"type": type, **fields}
    if type == "add":
        body.setdefault("input", {"a": 1})
    answer = await site.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    id = answer.json()["id"]
    assert isinstance(id, str)
    return id


async def end(jobs: Jobs, id: str, result: bytes | None = b"2", n: int = 1) -> None:
    """Lets the job run and succeed, or fail for want of a result."""
    await claim_all(jobs, n)
    store = await jobs.store()
    token = (await read(store, id)).token or ""
    await tell(
        store, await read(store, id), Succeeded(token, result) if result else Failed(token, error(retryable=False))
    )


async def test_a_submit_answers_with_the_job(site: Site) -> None:
    answer = await site.post("/v1/jobs", json={"type": "add", "input": {"a": 2, "b": 3}, "labels": {"who": "Zoë"}})
    job = answer.json()
    path = f"/v1/jobs/{job['id']}"
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert (answer.headers["location"], answer.headers["retry-after"]) == (path, "1")
    assert answer.headers["etag"] == '"1"'
    times = {name: job.pop(name) for name in ("created_at", "scheduled_for", "updated_at")}
    assert all(re.fullmatch(TIME, time) for time in times.values()), times
    assert job == {
        "id": job["id"],
        "type": "add",
        "queue": "default",
        "priority": 0,
        "state": "queued",
        "done": False,
        "status": "PENDING",
        "reason": "submitted",
        "progress": None,
        "attempt": 0,
        "max_attempts": 3,
        "failures": 0,
        "crashes": 0,
        "max_crashes": 5,
        "cancel_requested_at": None,
        "start_by": None,
        "started_at": None,
        "finished_at": None,
        "kept_until": None,
        "labels": {"who": "Zoë"},
        "input": {"a": 2, "b": 3},
        "result": None,
        "error": None,
        "attempts": [],
        "links": {"self": path} | {name: f"{path}/{name}" for name in ("result", "cancel", "retry", "rerun", "events")},
        "version": 1,
    }
    again = await site.get(path)
    assert again.status_code == 200
    place = {"queue_position": 1, "queue_position_capped": False, "estimated_start": None}
    assert again.json() == {**job, **times, **place}
    assert (await site.get(path.upper().replace("/V1/JOBS", "/v1/jobs"))).json() == again.json()


async def test_options_reach_the_job(site: Site, jobs: Jobs) -> None:
    run_at = datetime.now(UTC).replace(microsecond=7000) + timedelta(hours=1)
    options = {
        "queue": "mail",
        "priority": -3,
        "run_at": run_at.astimezone().isoformat(),
        "start_within": 60,
        "timeout": 1.5,
        "max_attempts": 9,
        "unique_key": "k",
    }
    answer = await site.post("/v1/jobs", json={"type": "keep", "input": {"anything": "ä\u0000"}, **options})
    assert 3590 <= int(answer.headers["retry-after"]) <= 3600
    job = await jobs.get(answer.json()["id"])
    assert (job.state, job.queue, job.priority, job.max_attempts) == ("scheduled", "mail", -3, 9)
    assert (job.max_crashes, job.timeout, job.unique_key) == (2, 1500, "k")
    assert job.scheduled_for == round(run_at.timestamp() * 1000)
    assert job.start_by == job.scheduled_for + 60_000
    assert answer.json()["scheduled_for"] == run_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_unique_key_gives_the_live_job_or_a_conflict(site: Site) -> None:
    id = await submit(site, unique_key="k")
    assert await submit(site, unique_key="k") == id
    answer = await site.post(
        "/v1/jobs", json={"type": "add", "input": {"a": 1}, "unique_key": "k", "on_conflict": "reject"}
    )
    assert (answer.status_code, answer.json()["code"], answer.json()["holder"]) == (409, "unique_key_held", id)


async def test_a_run_shows_in_the_job(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    await claim_all(jobs)
    store = await jobs.store()
    await store.report([Beat(id, (await read(store, id)).token or "", Progress(1, 4, "begun"))])
    job = (await site.get(f"/v1/jobs/{id}")).json()
    assert (job["state"], job["status"], job["done"], job["attempt"]) == ("running", "STARTING", False, 1)
    assert job["progress"] == {"percent": 25.0, "current": 1.0, "total": 4.0, "message": "begun"}
    [attempt] = job["attempts"]
    assert attempt == {
        "number": 1, "started_at": job["started_at"], "ended_at": None, "reason": None, "worker": "w", "error": None
    }  # fmt: skip
    await tell(store, await read(store, id), Succeeded("w:1", b'{"sum":2}'))
    job = (await site.get(f"/v1/jobs/{id}")).json()
    assert (job["state"], job["status"], job["done"], job["result"]) == ("succeeded", "COMPLETE", True, {"sum": 2})
    [attempt] = job["attempts"]
    assert (attempt["number"], attempt["ended_at"], attempt["reason"]) == (1, job["finished_at"], "succeeded")
    assert job["kept_until"] > job["finished_at"]


async def test_failed_runs_are_kept_with_their_errors(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    await claim_all(jobs)
    store = await jobs.store()
    await tell(store, await read(store, id), Failed("w:1", error(traceback="Traceback …"), delay=0))
    await claim_all(jobs, 2)
    await tell(store, await read(store, id), Failed("w:2", error(retryable=False, traceback="Traceback …")))
    answer = await site.get(f"/v1/jobs/{id}")
    job = answer.json()
    assert answer.status_code == 200
    assert (job["state"], job["failures"], job["reason"]) == ("failed", 2, "application")
    wanted = {"kind": "application", "type": "ValueError", "message": "no luck", "retryable": False}
    assert job["error"] == {**wanted, "traceback": "Traceback …"}
    assert [attempt["number"] for attempt in job["attempts"]] == [1, 2]
    assert job["attempts"][1]["error"] == {**wanted, "traceback": ""}
    assert "retry-after" not in answer.headers


async def test_the_version_is_the_etag(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    path = f"/v1/jobs/{id}"
    etag = (await site.get(path)).headers["etag"]
    for condition in (etag, f"W/{etag}", f'"0", {etag}', "*"):
        answer = await site.get(path, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["retry-after"]) == (etag, "1")
        assert "content-type" not in answer.headers
    several = [("If-None-Match", '"0"'), ("Prefer", "wait=0"), ("If-None-Match", etag), ("If-None-Match", '"9"')]
    assert (await site.get(path, headers=several)).status_code == 304
    await jobs.cancel(id)
    answer = await site.get(path, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["etag"]) == (200, f'"{answer.json()["version"]}"')
    assert answer.headers["etag"] != etag


async def test_a_cancel_ends_a_waiting_job_asks_a_running_one_and_is_refused_by_an_ended_one(
    site: Site, jobs: Jobs
) -> None:
    id = await submit(site)
    ended = await site.post(f"/v1/jobs/{id}/cancel")
    assert (ended.status_code, ended.json()["state"], ended.json()["done"]) == (200, "cancelled", True)
    refused = await site.post(f"/v1/jobs/{id}/cancel")
    assert (refused.status_code, refused.json()["code"], refused.json()["state"]) == (
        409, "already_finished", "cancelled"
    )  # fmt: skip
    id = await submit(site)
    await claim_all(jobs)
    for _ in range(2):
        asked = await site.post(f"/v1/jobs/{id}/cancel")
        assert (asked.status_code, asked.json()["state"], asked.headers["retry-after"]) == (202, "running", "1")
        assert re.fullmatch(TIME, asked.json()["cancel_requested_at"])


async def test_a_retry_runs_an_ended_job_again(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    live = await site.post(f"/v1/jobs/{id}/retry")
    assert (live.status_code, live.json()["code"]) == (409, "not_retryable")
    await end(jobs, id, None)
    again = await site.post(f"/v1/jobs/{id}/retry")
    assert (again.status_code, again.json()["state"], again.json()["id"]) == (202, "queued", id)
    assert again.headers["location"] == f"/v1/jobs/{id}"
    await end(jobs, id, n=2)
    succeeded = await site.post(f"/v1/jobs/{id}/retry")
    assert (succeeded.status_code, succeeded.json()["state"]) == (409, "succeeded")


async def test_a_retry_needs_its_unique_key(site: Site) -> None:
    id = await submit(site, unique_key="k")
    await site.post(f"/v1/jobs/{id}/cancel")
    other = await submit(site, unique_key="k")
    answer = await site.post(f"/v1/jobs/{id}/retry")
    assert (answer.status_code, answer.json()["code"], answer.json()["holder"]) == (409, "unique_key_held", other)


async def test_the_result_is_given_as_the_function_gave_it(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    early = await site.get(f"/v1/jobs/{id}/result")
    assert (early.status_code, early.json()["code"], early.headers["retry-after"]) == (409, "not_finished", "1")
    await end(jobs, id, b'{"sum" : 2}')
    answer = await site.get(f"/v1/jobs/{id}/result")
    assert (answer.status_code, answer.content) == (200, b'{"sum" : 2}')
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_without_a_result_there_is_the_error(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    await end(jobs, id, None)
    answer = await site.get(f"/v1/jobs/{id}/result")
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]["message"]) == (409, "failed", "no luck")
    id = await submit(site)
    await jobs.cancel(id)
    answer = await site.get(f"/v1/jobs/{id}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "cancelled")


async def test_the_types_tell_what_they_take(site: Site) -> None:
    types = {item["type"]: item for item in (await site.get("/v1/job-types")).json()["items"]}
    assert sorted(types) == ["add", "demo", "fail", "keep", "steps"]
    add, keep = types["add"], types["keep"]
    assert [type for type in types if types[type]["default"]] == ["demo"]
    assert (add["description"], add["runner"], add["queue"]) == ("Adds two numbers.", "async", "default")
    assert (add["max_attempts"], add["max_crashes"], add["timeout"]) == (3, 5, None)
    assert (keep["runner"], keep["queue"], keep["max_attempts"], keep["max_crashes"]) == ("thread", "slow", 7, 2)
    assert keep["timeout"] == 90
    assert add["result_schema"] == {"type": "integer"}
    assert '"a"' in str(add["input_schema"]).replace("'", '"')


async def test_health_and_readiness(site: Site, store_url: str) -> None:
    assert (await site.get("/healthz")).json() == {"status": "ok"}
    ready = (await site.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert ready["store"]["durability"]
    assert ready["store"]["durable"] is store_url.startswith("sqlite")


async def test_a_submit_can_wait_for_the_end(busy_site: Site) -> None:
    answer = await busy_site.post(
        "/v1/jobs", json={"type": "add", "input": {"a": 2, "b": 3}}, headers={"Prefer": "wait=30"}
    )
    assert (answer.status_code, answer.json()["state"], answer.json()["result"]) == (200, "succeeded", 5)
    assert answer.headers["preference-applied"] == "wait=30"
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    failed = await busy_site.post("/v1/jobs", json={"type": "fail"}, headers={"Prefer": "respond-async, wait=30"})
    assert (failed.status_code, failed.json()["state"], failed.json()["error"]["message"]) == (200, "failed", "no luck")


async def test_a_wait_that_is_too_short_gives_the_job_as_it_is(site: Site) -> None:
    answer = await site.post("/v1/jobs", json={"type": "add", "input": {"a": 1}}, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")
    answer = await site.get(answer.headers["location"], headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.json()["state"], answer.headers["retry-after"]) == (200, "queued", "1")


@pytest.mark.parametrize(
    "preference", ["wait", "wait=", "wait=-1", "wait=a", "wait=1.5", "waits=1", "return=minimal", ""]
)
async def test_a_preference_that_cannot_be_read_is_none(preference: str) -> None:
    async with serve(Jobs(store="memory://")) as site:
        answer = await site.get(f"/v1/jobs/{await site.start()}", headers={"Prefer": preference})
        assert answer.status_code == 200
        assert "preference-applied" not in answer.headers


async def test_a_wait_is_capped() -> None:
    async with serve(Jobs(store="memory://", max_wait=0.05)) as site:
        path = f"/v1/jobs/{await site.start()}"
        for preference in ("wait=60", 'foo, wait="60"; x=y'):
            answer = await site.get(path, headers={"Prefer": preference})
            assert answer.headers["preference-applied"] == "wait=0.05"
            assert answer.json()["state"] == "queued"


async def waiting(site: Site, path: str, **headers: str) -> asyncio.Task[httpx.Response]:
    """A request that waits for up to a minute; it has arrived when this returns."""
    known = set(site.server.server_state.tasks)
    headers = {"Prefer": "wait=60", **headers}
    task = asyncio.create_task(site.get(path, headers=headers, timeout=90))
    await until(lambda: site.server.server_state.tasks - known)
    return task


async def test_a_wait_ends_with_the_job(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    request = await waiting(site, f"/v1/jobs/{id}")
    await claim_all(jobs)
    store = await jobs.store()
    await tell(store, await read(store, id), Succeeded("w:1", b"2"))
    assert (await request).json()["state"] == "succeeded"


async def test_a_wait_with_a_known_version_ends_with_the_next_change(site: Site, jobs: Jobs) -> None:
    id = await submit(site)
    request = await waiting(site, f"/v1/jobs/{id}", **{"If-None-Match": '"1"'})
    await claim_all(jobs)
    answer = await request
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    # What has changed already is told at once.
    answer = await site.get(f"/v1/jobs/{id}", headers={"Prefer": "wait=60", "If-None-Match": '"1"'})
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    answer = await site.get(f"/v1/jobs/{id}", headers={"Prefer": "wait=0", "If-None-Match": answer.headers["etag"]})
    assert answer.status_code == 304


async def test_a_client_that_goes_is_not_waited_for(site: Site) -> None:
    id = await submit(site)
    request = await waiting(site, f"/v1/jobs/{id}")
    [answering] = site.server.server_state.tasks
    request.cancel()
    done, _ = await asyncio.wait([answering], timeout=20)
    assert done


async def test_a_server_that_stops_keeps_nobody_waiting(jobs: Jobs) -> None:
    async with serve(jobs) as site:
        id = await submit(site)
        request = await waiting(site, f"/v1/jobs/{id}")
        site.server.should_exit = True
        answer = await asyncio.wait_for(request, 20)
        assert (answer.status_code, answer.json()["state"]) == (200, "queued")


async def test_mounted_in_another_application_links_begin_with_its_prefix(jobs: Jobs) -> None:
    """And the lifespan of that application opens the store and runs the jobs."""
    outer = Starlette(routes=[Mount("/background", asgi.app(jobs))], lifespan=lambda app: asgi.lifespan(jobs))
    async with serve(jobs, app=outer) as site:
        body = {"type": "steps"}
        answer = await site.post("/background/v1/jobs", json=body, headers={"Prefer": "wait=30"})
        assert (answer.status_code, answer.json()["result"]) == (200, "done")
        assert answer.headers["location"].startswith("/background/v1/jobs/")
        assert answer.json()["links"]["self"] == answer.headers["location"]
        assert (await site.get(answer.headers["location"])).status_code == 200
        id = (await site.post("/background/start-job/add", json={"a": 1})).json()
        await site.get(f"/background/v1/jobs/{id}", headers={"Prefer": "wait=30"})
        assert (await site.get(f"/background/status-job/{id}")).text == "COMPLETE"
        assert (await site.get("/background/nothing")).json()["code"] == "unknown_path"
