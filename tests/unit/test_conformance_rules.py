"""The conformance suite knows no store: what holds for one holds for all, and a method without a file is untested."""

import re
from inspect import getmembers, isfunction
from pathlib import Path

import pytest

from async_job.store.administration import Administration
from async_job.store.outbox import Outbox
from async_job.store.protocol import Store

SUITE = Path(__file__).parents[1] / "conformance"
FILES = sorted(SUITE.glob("test_*.py"))
# Names of stores and of what is behind them, and the ways to leave one out.
FORBIDDEN = re.compile(
    r"(?i)memory|sqlite|redis|valkey|apsw|\bskip|skipif|xfail|importorskip|store_url|isinstance\(store"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_names_no_store_and_leaves_none_out(path: Path) -> None:
    found = [
        f"{path.name}:{n}: {line}" for n, line in enumerate(path.read_text().splitlines(), 1) if FORBIDDEN.search(line)
    ]
    assert not found


def test_every_method_has_its_file() -> None:
    methods = {name for name, _ in getmembers(Store, isfunction) if not name.startswith("_")} - {"now", "close"}
    assert {"submit", "claim", "apply"} <= methods
    missing = methods - {path.stem.removeprefix("test_") for path in FILES}
    assert not missing


@pytest.mark.parametrize(("part", "protocol"), [("administration", Administration), ("outbox", Outbox)])
def test_every_method_of_a_part_is_called(part: str, protocol: type) -> None:
    methods = {name for name, _ in getmembers(protocol, isfunction) if not name.startswith("_")}
    assert methods
    suite = "".join(path.read_text() for path in FILES)
    assert not {name for name in methods if f"store.{part}.{name}(" not in suite}
