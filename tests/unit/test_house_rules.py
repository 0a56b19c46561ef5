"""Rules of the house that no linter knows: see CONTRIBUTING.md."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60

# Put together here, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [".".join(parts) for parts in (
    ("pypi", "org"), ("files", "pythonhosted", "org"), ("registry", "npmjs", "org"), ("deb", "debian", "org"),
)]  # fmt: skip
MACHINE_PATH = re.compile(r"(?<![\w./}-])/(?:root|work|home|Users)/[\w.-]")


def functions(source: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_there_are_sources() -> None:
    assert SOURCES


def test_files_are_short() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in SOURCES}
    long = [f"{path.relative_to(ROOT)}: {n}" for path, n in lines.items() if n > MOST_LINES_OF_A_FILE]
    assert not long, f"files of more than {MOST_LINES_OF_A_FILE} lines"


def test_functions_are_short() -> None:
    long = [
        f"{place(path, function.lineno)} {function.name}: {length}"
        for path in SOURCES
        for function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long, f"functions of more than {MOST_LINES_OF_A_FUNCTION} lines"


def test_no_error_is_dropped_in_silence() -> None:
    """`contextlib.suppress` says which error and over what; `except …: pass` hides both in the flow."""
    silent = [
        place(path, node.lineno)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and all(_does_nothing(line) for line in node.body)
    ]
    assert not silent


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def committed_texts() -> Iterator[tuple[Path, str]]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git work tree")
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            yield path, content.decode(errors="replace")


def test_nothing_committed_names_a_registry_or_a_path_of_one_machine() -> None:
    found = [
        f"{place(path, number)}: {line.strip()[:100]}"
        for path, text in committed_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line) or any(host in line for host in REGISTRY_HOSTS)
    ]
    assert not found
