"""What is said of a job in one line, from the server's JSON."""

import msgspec
import pytest

from async_job.cli.view import JobView
from async_job.cli.watching import closing_line
from async_job.errors import ServerError


def view(**fields: object) -> JobView:
    job = {"id": "1", "type": "resize", "state": "running", "done": False, "version": 3, "not known here": 1}
    return JobView.of(msgspec.json.encode({**job, **fields}))


def error(kind: str, message: str, type: str = "") -> dict[str, str]:
    return {"kind": kind, "message": message, "type": type}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "running"),
        ({"cancel_requested_at": "2026-01-01T00:00:00Z"}, "running, asked to cancel"),
        ({"state": "succeeded", "done": True, "error": error("timeout", "earlier")}, "succeeded"),
        (
            {"state": "failed", "done": True, "error": error("application", "two\n lines", "ValueError")},
            "failed: ValueError: two lines",
        ),
        ({"state": "failed", "done": True, "error": error("crashed", "signal 9")}, "failed: crashed: signal 9"),
        ({"state": "scheduled", "error": error("timeout", "after 3 s")}, "scheduled: timeout: after 3 s"),
        (
            {"state": "cancelled", "done": True, "error": error("cancelled", "cancelled before it started")},
            "cancelled before it started",
        ),
        (
            {"state": "expired", "done": True, "error": error("expired", "not started by its deadline")},
            "expired: not started by its deadline",
        ),
    ],
)
def test_the_outcome_is_one_line(fields: dict[str, object], said: str) -> None:
    assert view(**fields).outcome == said


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (None, ""),
        ({"percent": 33.3, "current": 1, "total": 3, "message": None}, "33 %"),
        ({"percent": 33.3, "current": 1, "total": 3, "message": "one"}, "33 % one"),
        ({"percent": None, "current": 7, "total": None, "message": "files"}, "7 files"),
    ],
)
def test_progress_is_said_in_words(progress: object, said: str) -> None:
    assert view(progress=progress).doing == said


def test_the_closing_line_says_how_long_it_took() -> None:
    times = {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01.234Z"}
    assert closing_line(view(state="succeeded", done=True, **times)) == "✓ resize succeeded in 1.23 s"
    assert closing_line(view(state="expired", done=True)) == "✗ resize expired (1)"


def test_the_whole_object_is_kept_as_it_was_sent() -> None:
    assert b'"not known here":1' in view().text


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"id": 1}', b"null"])
def test_what_is_no_job_is_an_error_of_the_server(text: bytes) -> None:
    with pytest.raises(ServerError, match="no job"):
        JobView.of(text)
