"""The benchmarks compare with pinned versions, through adapters short enough to be checked by their authors."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ADAPTERS = sorted((BENCHMARKS / "faults" / "rivals").glob("[a-z]*.py"))
MOST_LINES = 60


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda path: path.stem)
def test_an_adapter_is_thin_and_says_how_it_is_set_up(adapter: Path) -> None:
    source = adapter.read_text()
    assert len(source.splitlines()) <= MOST_LINES
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    assert {"COMMAND", "SILENCE", "NOTE"} <= names


def test_every_package_is_pinned() -> None:
    rivals = tomllib.loads((BENCHMARKS / "rivals.toml").read_text())
    assert {adapter.stem.removesuffix("_late") for adapter in ADAPTERS} - {"async_job"} <= rivals.keys()
    for rival in rivals.values():
        assert all(re.fullmatch(r"[a-z-]+(\[[a-z,]+\])?==[0-9.]+", package) for package in rival["packages"])
