"""What a supervisor reads from the board of a worker: who runs, and nobody else."""

import os
from collections.abc import Iterator

import pytest

from async_job.ids import new_id
from async_job.worker import board
from async_job.worker.board import CELL, Board, key


@pytest.fixture
def fd() -> Iterator[int]:
    fd = board.create(3)
    yield fd
    os.close(fd)


def test_it_shows_who_runs(fd: int) -> None:
    shown = Board(3, fd)
    assert board.read(fd) == frozenset()
    ids = [new_id() for _ in range(3)]
    cells = [shown.enter(id) for id in ids]
    assert board.read(fd) == {key(id) for id in ids}
    shown.leave(cells[1])
    assert board.read(fd) == {key(ids[0]), key(ids[2])}
    shown.enter("short")
    assert board.read(fd) == {key(ids[0]), key(ids[2]), b"short"}


def test_ids_of_any_length_and_text(fd: int) -> None:
    shown = Board(3, fd)
    ids = ["a" * 200, "\N{SNOWMAN}" * 40, "half \ud800"]
    for id in ids:
        shown.enter(id)
    assert board.read(fd) == {key(id) for id in ids}
    assert all(len(key(id)) <= CELL for id in ids)


def test_a_worker_without_a_supervisor_has_one_of_its_own() -> None:
    shown = Board(1)
    shown.leave(shown.enter("a"))
    assert shown.enter("b") == 0
