"""From a URL to the store, with no more imported than that one needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from async_job.clock import ManualClock
from async_job.errors import SettingsError
from async_job.store.memory.store import MemoryStore
from async_job.store.open import make_store, sqlite_path
from async_job.store.redis.store import RedisStore
from async_job.store.sqlite.store import SqliteStore


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", MemoryStore),
        ("sqlite:///jobs.db", SqliteStore),
        ("sqlite:////var/lib/jobs.db", SqliteStore),
        ("redis://localhost:6390/1", RedisStore),
        ("rediss://user:password@localhost", RedisStore),
        ("localhost:6390,password=secret,ssl=true", RedisStore),
        ("one:26379,two:26379,serviceName=jobs", RedisStore),
    ],
)
def test_each_url_makes_its_store(url: str, kind: type) -> None:
    assert type(make_store(url)) is kind


def test_the_clock_is_the_stores() -> None:
    assert make_store("memory://", clock=ManualClock(5)).now() == 5


@pytest.mark.parametrize(
    "url", ["", "jobs.db", "localhost", "postgres://host/db", "sqlite:jobs.db", "MEMORY://", "redis:/x"]
)
def test_what_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="store is "):
        make_store(url)


def test_a_namespace_that_cannot_be_is_refused() -> None:
    with pytest.raises(SettingsError, match="namespace"):
        make_store("redis://localhost", namespace="a b")


def test_three_slashes_are_relative_and_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path("sqlite:///data/jobs.db") == tmp_path / "data" / "jobs.db"
    assert sqlite_path("sqlite:////data/jobs.db") == Path("/data/jobs.db")


@pytest.mark.parametrize(
    ("url", "absent"),
    [
        ("memory://", ["apsw", "redis"]),
        ("sqlite:///jobs.db", ["redis"]),
        ("redis://localhost", ["apsw"]),
    ],
)
def test_only_the_driver_that_is_needed_is_imported(url: str, absent: list[str]) -> None:
    code = f"import sys; from async_job.store.open import make_store; make_store({url!r}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(absent) & set(modules)
