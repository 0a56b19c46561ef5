"""Every test of the command line begins in an empty folder, with no variable that could be a setting."""

import os
import sys
from pathlib import Path

import pytest

from async_job import logs


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in list(os.environ):
        if name.upper().startswith(("ASYNC_JOB_", "CONNECTIONSTRINGS__")):
            monkeypatch.delenv(name)
    return folder


@pytest.fixture(autouse=True)
def log_of_the_test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that runs inside pytest leaves pytest's log alone; those in processes of their own set up theirs."""
    monkeypatch.setattr(logs, "configure", lambda settings, stream=None: None)
