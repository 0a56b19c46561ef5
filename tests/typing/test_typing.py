"""What mypy and pyright say about users' code: right uses pass with the right types, every wrong one is flagged."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RIGHT = HERE / "right.py"
WRONG = HERE / "wrong.py"

Check = Callable[[Path, Path], dict[int, str]]


def mypy(file: Path, cache: Path) -> dict[int, str]:
    """What mypy finds in the file, by line."""
    options = ["--strict", "--output=json", "--config-file=", f"--cache-dir={cache}"]
    command = [sys.executable, "-m", "mypy", *options, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {item["line"]: item["message"] for item in found if Path(item["file"]).name == file.name}


def pyright(file: Path, cache: Path) -> dict[int, str]:
    """What basedpyright finds in the file, in the mode that pyright calls strict, by line."""
    settings = {
        "include": [str(file)],
        "typeCheckingMode": "strict",
        "venvPath": str(Path(sys.prefix).parent),
        "venv": Path(sys.prefix).name,
    }
    (cache / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(cache)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["summary"]["filesAnalyzed"] == 1
    return {
        item["range"]["start"]["line"] + 1: item["message"]
        for item in answer["generalDiagnostics"]
        if item["severity"] == "error"
    }


@pytest.fixture(params=[mypy, pyright])
def check(request: pytest.FixtureRequest) -> Check:
    checker: Check = request.param
    return checker


@pytest.mark.timeout(600)
def test_right_uses_have_the_right_types(check: Check, tmp_path: Path) -> None:
    assert check(RIGHT, tmp_path) == {}


@pytest.mark.timeout(600)
def test_every_wrong_use_is_flagged_and_nothing_else(check: Check, tmp_path: Path) -> None:
    marked = {number for number, line in enumerate(WRONG.read_text().splitlines(), 1) if "# wrong:" in line}
    assert len(marked) > 20
    found = check(WRONG, tmp_path)
    assert marked - found.keys() == set(), "not flagged"
    assert {line: message for line, message in found.items() if line not in marked} == {}
