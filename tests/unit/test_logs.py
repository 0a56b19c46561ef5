"""How log lines look. Each test sets the log up in a process of its own, for it is set up once a process."""

import json
import subprocess
import sys

import pytest

SETUP = """
import logging, sys
from async_job import logs
from async_job.settings import Settings
logs.configure(Settings(log_format=sys.argv[1], log_level="info"))
log = logs.get_logger()
evil = "a\\x1b[2J\\r\\nforged \\x9b \\u202e"
"""


def lines(code: str, log_format: str, **environ: str) -> list[str]:
    command = [sys.executable, "-c", SETUP + code, log_format]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ or None, timeout=60)
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_nothing_that_is_logged_moves_a_cursor_or_forges_a_line(log_format: str) -> None:
    code = """
log.warning(evil, said=evil, nested=[evil])
logging.getLogger("theirs").warning("%s", evil)
try:
    raise ValueError(evil)
except ValueError:
    log.exception("failed")
"""
    found = lines(code, log_format)
    text = "\n".join(found)
    assert not [mark for mark in "\x1b\r\x9b\u202e" if mark in text]
    assert len([line for line in found if line.startswith("forged")]) == (1 if log_format == "console" else 0)
    assert "Traceback" in text


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_keys_and_tickets_are_blotted_out(log_format: str) -> None:
    code = """
key, ticket = "aj_k3x9f0a2bq_" + "Zz9" * 14 + "Z", "ajt_k3x9f0a2bq_1738310400000_" + "Zz9" * 14 + "Z"
log.warning(f"said {key}", path=f"/x?key={key}&ticket={ticket}", nested=[{"key": key}])
logging.getLogger("theirs").warning("%s", ticket)
try:
    raise ValueError(key)
except ValueError:
    log.exception("failed")
"""
    text = "\n".join(lines(code, log_format))
    assert "Zz9" not in text
    assert text.count("aj_k3x9f0a2bq_***") >= 4
    assert text.count("ajt_k3x9f0a2bq_***") == 2


def test_json_has_one_object_a_line() -> None:
    code = """
log.debug("too quiet")
log.info("said", job="x", odd=object)
logging.getLogger("theirs").error("said %s", "too")
logging.getLogger("uvicorn.error").info("chatter")
"""
    first, second = (json.loads(line) for line in lines(code, "auto"))
    assert (first["event"], first["level"], first["job"]) == ("said", "info", "x")
    assert (second["event"], second["level"]) == ("said too", "error")
    assert first["timestamp"].endswith("Z")


def test_a_child_process_does_not_load_rich() -> None:
    code = "assert 'rich' not in sys.modules, 'rich'\nimport rich\nlog.info('x')"
    assert len(lines(code, "console", ASYNC_JOB_CHILD="{}")) == 1
