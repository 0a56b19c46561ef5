"""What `async-job settings` prints, and the page that is made from the same list."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from async_job.cli.main import main
from async_job.cli.settings_table import page
from async_job.settings import described

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_in_docs_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m async_job.cli.settings_table > docs/settings.md"


def test_the_module_prints_the_page() -> None:
    command = [sys.executable, "-m", "async_job.cli.settings_table"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == page()


def test_every_setting_is_printed_with_its_value_and_origin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, empty_folder: Path
) -> None:
    monkeypatch.setenv("ASYNC_JOB_STORE", "redis://user:secret@host:6379")
    (empty_folder / "async-job.toml").write_text("lease = 9\n")
    assert main(["settings"]) == 0
    out = capsys.readouterr().out
    rows = dict(line.split("\t", 1) for line in out.splitlines())
    assert rows.keys() == described().keys()
    assert rows["store"] == "redis://user:***@host:6379\tASYNC_JOB_STORE"
    assert rows["lease"] == "9\tasync-job.toml"
    assert rows["port"] == "5079\tdefault"
    assert "secret" not in out


def test_settings_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ConnectionStrings__Redis", "host:6379,password=secret")
    assert main(["settings", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["store"] == {"value": "host:6379,password=***", "origin": "ConnectionStrings__Redis"}
    assert printed["queues"] == {"value": ["default"], "origin": "default"}


def test_arguments_in_code_show_when_the_program_is_named(
    capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    (empty_folder / "site_of_settings.py").write_text("import async_job.jobs\njobs = async_job.jobs.Jobs(port=8000)\n")
    assert main(["settings", "site_of_settings:jobs"]) == 0
    assert "port\t8000\targument\n" in capsys.readouterr().out
