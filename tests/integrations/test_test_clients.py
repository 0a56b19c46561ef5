"""Users' own tests of their applications: plain `with TestClient(app)`."""

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

with warnings.catch_warnings():
    # It prefers another library to httpx, and says so when it is imported.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


@pytest.fixture(params=["starlette", "fastapi"])
def application(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The user's module, imported anew, with jobs in memory."""
    monkeypatch.setenv("ASYNC_JOB_STORE", "memory://")
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    file = Path(__file__).with_name(f"{request.param}_application.py")
    spec = importlib.util.spec_from_file_location(f"fresh_{request.param}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def finish(http: Any) -> dict[str, Any]:
    started = http.post("/start")
    assert started.status_code == 202, started.text
    done: dict[str, Any] = http.get(started.headers["Location"], headers={"Prefer": "wait=30"}).json()
    return done


def test_jobs_run_in_a_test_client(application: ModuleType) -> None:
    with TestClient(application.app) as http:
        assert finish(http)["state"] == "succeeded"


def test_an_application_can_be_tested_again_and_again(application: ModuleType) -> None:
    ids = set()
    for _ in range(3):
        with TestClient(application.app) as http:
            done = finish(http)
            assert done["state"] == "succeeded"
            ids.add(done["id"])
    assert len(ids) == 3


def test_without_its_lifespan_jobs_are_taken_and_wait(application: ModuleType) -> None:
    http = TestClient(application.app)
    started = http.post("/start")
    assert started.status_code == 202
    for _ in range(2):
        assert http.get(started.headers["Location"], headers={"Prefer": "wait=1"}).json()["state"] == "queued"
