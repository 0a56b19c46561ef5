"""Errors that no client brings about: logged with their traceback, answered without it."""

import pytest
from structlog.testing import capture_logs

from async_job import Jobs
from async_job.core.job import Job
from support.web import serve


async def test_an_error_of_ours_is_a_problem_and_stands_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(id: str) -> Job:
        raise ZeroDivisionError("secret")

    jobs = Jobs(store="memory://")
    async with serve(jobs) as site:
        id = await site.start()
        monkeypatch.setattr(jobs, "get", broken)
        with capture_logs() as logged:
            answer = await site.get(f"/v1/jobs/{id}", headers={"X-Request-Id": "r-1"})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "secret" not in answer.text
        [line] = logged
        assert (line["request_id"], line["path"]) == ("r-1", f"/v1/jobs/{id}")
        assert line["exception"].endswith("\nZeroDivisionError: secret")


async def test_the_log_of_an_application_that_has_set_none_up_holds_no_keys_and_local_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key, ticket = "aj_k3x9f0a2bq_" + "Zz9" * 14 + "Z", "ajt_k3x9f0a2bq_1738310400000_" + "Zz9" * 14 + "Z"

    async def broken(id: str) -> Job:
        local = "shown".upper()
        raise ZeroDivisionError(f"{len(local)} {key}")

    jobs = Jobs(store="memory://")
    async with serve(jobs) as site:
        id = await site.start()
        monkeypatch.setattr(jobs, "get", broken)
        await site.get(f"/v1/jobs/{id}?ticket={ticket}", headers={"Authorization": f"Bearer {key}"})
    logged = "".join(capsys.readouterr())
    assert "ZeroDivisionError: 5 aj_k3x9f0a2bq_***" in logged
    assert "Zz9" not in logged
    assert "SHOWN" not in logged


async def test_code_of_the_users_that_reads_an_input_and_raises_is_no_error_of_the_server() -> None:
    from dataclasses import dataclass

    @dataclass
    class Odd:
        n: int

        def __post_init__(self) -> None:
            if self.n % 2 == 0:
                raise RuntimeError("even")

    jobs = Jobs(store="memory://")

    async def take(odd: object) -> None: ...

    take.__annotations__["odd"] = Odd
    jobs.job(take)
    async with serve(jobs) as site:
        assert (await site.post("/start-job/take", json={"odd": {"n": 1}})).status_code == 200
        answer = await site.post("/start-job/take", json={"odd": {"n": 2}})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
