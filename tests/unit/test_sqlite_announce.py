"""How those who wait on a SQLite store hear of what others wrote."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from async_job.clock import ManualClock
from async_job.store.sqlite.announce import LONGEST_ADDRESS, Announcer, folder_of
from async_job.store.sqlite.store import SqliteStore
from support.jobs import submit

FOR_EVER = 1_000


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[SqliteStore, SqliteStore]]:
    """Two store objects on one file: each hears of the other as of another process."""
    one, other = (SqliteStore(tmp_path / "jobs.db", clock=ManualClock()) for _ in range(2))
    await one.open()
    await other.open()
    yield one, other
    await one.close()
    await other.close()


def sockets(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def hears(listener: SqliteStore, teller: SqliteStore) -> None:
    """That changes and ready jobs are heard of; a timeout of the test means that they were not."""
    cursor = (await listener.changes(None, 0)).cursor
    changes = asyncio.ensure_future(listener.changes(cursor, FOR_EVER))
    ready = asyncio.ensure_future(listener.wait(["default"], FOR_EVER))
    await asyncio.sleep(0)
    await listener.counts()
    await submit(teller, "a")
    async with asyncio.timeout(60):
        assert [entry.id for entry in (await changes).entries] == ["a"]
        await ready


async def test_by_a_datagram(stores: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_job.store.sqlite.store.LOOK_EACH", FOR_EVER)
    await hears(*stores)


async def test_by_looking_when_no_datagram_comes(stores: tuple[SqliteStore, SqliteStore], tmp_path: Path) -> None:
    for name in sockets(tmp_path / "jobs.db-wake"):
        (tmp_path / "jobs.db-wake" / name).unlink()
    await hears(*stores)


async def test_what_a_killed_process_left_is_cleared_away(
    stores: tuple[SqliteStore, SqliteStore], tmp_path: Path
) -> None:
    folder = tmp_path / "jobs.db-wake"
    before = sockets(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(folder / "1-00000000"))
    await submit(stores[0], "a")
    await stores[0].close()
    assert "1-00000000" not in sockets(folder)
    assert sockets(folder) < before


def fill(teller: socket.socket, address: str) -> None:
    with suppress(BlockingIOError):  # it is full
        while True:
            teller.sendto(b"changed", address)


async def test_a_full_buffer_stops_nobody(stores: tuple[SqliteStore, SqliteStore], tmp_path: Path) -> None:
    folder = tmp_path / "jobs.db-wake"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(folder / "1-00000000"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as teller:
            fill(teller, str(folder / "1-00000000"))
        await submit(stores[0], "a")
        await stores[0].close()
        assert "1-00000000" in sockets(folder)


async def test_a_long_path_has_its_sockets_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_job.store.sqlite.store.LOOK_EACH", FOR_EVER)
    deep = tmp_path / ("long-" * 20)
    make(deep)
    one, other = (SqliteStore(deep / "jobs.db", clock=ManualClock()) for _ in range(2))
    folder = folder_of(deep / "jobs.db")
    assert len(str(folder)) < LONGEST_ADDRESS / 2
    assert folder == folder_of(deep / "jobs.db") != folder_of(deep / "other.db")
    await one.open()
    await other.open()
    assert len(sockets(folder)) == 2
    await hears(one, other)
    await one.close()
    await other.close()
    assert sockets(folder) == set()
    folder.rmdir()


def make(folder: Path) -> None:
    folder.mkdir()


def test_a_short_path_has_them_beside_it() -> None:
    assert folder_of(Path("/srv/jobs.db")) == Path("/srv/jobs.db-wake")


async def test_where_nobody_can_listen_nothing_is_heard_and_nothing_fails() -> None:
    announcer = Announcer(Path("/proc/jobs.db"))
    announcer.listen(lambda message: None)
    announcer.tell(b"ready")
    announcer.close()


async def test_no_file_is_taken_for_what_a_killed_process_left(
    stores: tuple[SqliteStore, SqliteStore], tmp_path: Path
) -> None:
    kept = tmp_path / "jobs.db-wake" / "notes"
    kept.write_text("mine")
    await submit(stores[0], "a")
    await stores[0].close()
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("made_by", ["a link", "a file"])
async def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path, made_by: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = folder_of(tmp_path / "jobs.db")
    if made_by == "a link":
        folder.symlink_to(elsewhere)
    else:
        folder.write_text("")
    store = SqliteStore(tmp_path / "jobs.db", clock=ManualClock())
    await store.open()
    assert sockets(elsewhere) == set()
    await submit(store, "a")
    await store.close()
