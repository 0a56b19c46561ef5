"""What a worker does not need, it does not import: asked in a real worker, and in a real child process of one."""

import sys
from pathlib import Path

import pytest

from async_job import Jobs
from async_job.settings import Settings
from support.supervised import Program

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

APPLICATION = """
import sys
from async_job import Context, Jobs

jobs = Jobs()

@jobs.job
async def in_worker() -> list[str]:
    return sorted(sys.modules)

@jobs.job(runner="process")
def in_child() -> list[str]:
    return sorted(sys.modules)

@jobs.job
def in_thread(ctx: Context) -> list[str]:
    return sorted(sys.modules)
"""

NEVER = {"starlette", "uvicorn", "typer", "click", "pydantic", "rich", "httpx"}
DRIVERS = {"sqlite": {"apsw"}, "redis": {"redis", "hiredis"}}
OTHER_STORE = {"sqlite": "async_job.store.redis.store", "redis": "async_job.store.sqlite.store"}


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_a_worker_imports_no_more_than_it_needs(
    request: pytest.FixtureRequest, tmp_path: Path, store: str
) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    if store == "redis":
        server = request.getfixturevalue("redis_server")
        server.flush()
        url = server.url
    (tmp_path / "imports_app.py").write_text(APPLICATION)
    own, other = DRIVERS[store], DRIVERS["redis" if store == "sqlite" else "sqlite"]
    namespace: dict[str, Jobs] = {}
    exec(APPLICATION, namespace)
    jobs = namespace["jobs"]
    jobs.configure(settings=Settings(store=url))
    async with jobs:
        with Program(Settings(store=url, workers=1), tmp_path, "imports_app:jobs"):
            modules = {
                type: set(await (await jobs.submit(type, b"{}")).result(timeout=60))
                for type in ("in_worker", "in_thread", "in_child")
            }
    for loaded in modules.values():
        packages = {name.partition(".")[0] for name in loaded}
        assert packages & (NEVER | other) == set()
        assert OTHER_STORE[store] not in loaded
        assert not {"async_job.web", "async_job.cli", "async_job.asgi", "async_job.testing"} & loaded
        assert "imports_app" in loaded
    # It is the worker that was asked, and it has the store open.
    assert own <= {name.partition(".")[0] for name in modules["in_worker"]}
    assert "async_job.worker.process" not in modules["in_child"]
    assert "async_job.worker.channel" in modules["in_child"]
    assert "async_job.worker.channel" not in modules["in_worker"]
