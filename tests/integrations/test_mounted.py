"""The application mounted in users' own, under users' own uvicorn, over real HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support.ledger import counted, read
from support.supervised import wait_until
from support.uvicorn import Uvicorn

pytestmark = pytest.mark.realtime

FRAMEWORKS = ("starlette", "fastapi", "litestar")


@pytest.fixture(params=FRAMEWORKS)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Uvicorn]:
    with Uvicorn(f"integrations.{request.param}_application:app", tmp_path) as served:
        yield served


@pytest.fixture
def http(served: Uvicorn) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http:
        yield http


def test_a_job_started_below_the_mount_runs_and_its_links_carry_the_mount(http: httpx.Client) -> None:
    answer = http.post("/jobs/v1/jobs", json={"type": "work"})
    assert answer.status_code == 202, answer.text
    id = answer.json()["id"]
    assert answer.headers["Location"] == f"/jobs/v1/jobs/{id}"
    assert answer.json()["links"]["self"] == f"/jobs/v1/jobs/{id}"

    done = http.get(answer.headers["Location"], headers={"Prefer": "wait=30"}).json()
    assert done["state"] == "succeeded"
    assert http.get(done["links"]["result"]).json() == done["result"]


def test_the_original_endpoints_and_problems_are_there_too(http: httpx.Client) -> None:
    id = http.post("/jobs/start-job/work").json()
    assert http.get(f"/jobs/status-job/{id}").text in ("PENDING", "STARTING", "COMPLETE")
    nothing = http.get("/jobs/v1/nothing").json()
    assert (nothing["code"], nothing["detail"].endswith("; /jobs/docs shows what there is")) == ("unknown_path", True)
    assert http.get("/jobs/v1/jobs/nothing").json()["code"] == "job_not_found"


def test_the_users_own_handlers_answer_as_ever_and_can_answer_202(http: httpx.Client) -> None:
    assert "the user's own" in http.get("/").text
    answer = http.post("/start")
    assert answer.status_code == 202
    assert answer.headers["Content-Type"].startswith("application/json")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Location"] == answer.json()["links"]["self"] == f"/jobs/v1/jobs/{answer.json()['id']}"
    assert http.get(answer.headers["Location"], headers={"Prefer": "wait=30"}).json()["done"]


def test_a_waiting_client_does_not_hold_up_the_end(served: Uvicorn, http: httpx.Client) -> None:
    id = http.post("/jobs/v1/jobs", json={"type": "work", "delay": 1000}).json()["id"]
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(http.get, f"/jobs/v1/jobs/{id}", headers={"Prefer": "wait=50"})
        # A second request that is answered says that the first has begun to wait, or will find that it may not.
        httpx.get(f"{served.url}/jobs/healthz", trust_env=False)
        assert not waiting.done()
        assert served.stop(timeout=25) in (0, -15), served.log
        assert waiting.result().json()["state"] == "scheduled"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_four_workers_of_uvicorn_run_every_job_once(framework: str, tmp_path: Path) -> None:
    jobs = 100
    with Uvicorn(f"integrations.{framework}_application:app", tmp_path, "--workers", "4") as served:
        with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http:
            ids = [http.post("/jobs/start-job/work", json={"seconds": 0.1}).json() for _ in range(jobs)]
            for id in ids:
                done = http.get(f"/jobs/v1/jobs/{id}", headers={"Prefer": "wait=60"}).json()
                assert done["state"] == "succeeded", done
        lines = read(served.ledger)
        assert counted(lines, "start") == dict.fromkeys(ids, 1)
        assert len({line.pid for line in lines}) == 4, served.log
        served.stop()
        wait_until(lambda: served.process.poll() is not None)
