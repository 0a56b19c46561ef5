"""Every test of the command line begins in an empty folder, with no variable that could be a setting."""

import os
import sys
from pathlib import Path

import pytest


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
