"""What the commands print of text that others wrote."""

import io
import json
from collections.abc import AsyncIterator

import msgspec
import pytest
from rich.console import Console

from async_job.cli import asking
from async_job.cli.main import main
from async_job.cli.output import print_json, print_rows
from async_job.cli.view import JobView
from async_job.cli.watching import watch
from async_job.ids import new_id

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\x7f\nstate: succeeded"
JOB = {
    "id": "1",
    "type": "resize",
    "state": "failed",
    "done": True,
    "version": 3,
    "progress": {"message": HOSTILE},
    "error": {"kind": "application", "message": HOSTILE, "type": HOSTILE},
    "reason": HOSTILE,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


KINDS = pytest.mark.parametrize("kind", [io.StringIO, Terminal])


def standard_output(kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """In place of the present one, 80 columns wide. Not by a fixture: pytest puts its own in place after those."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    made = kind()
    monkeypatch.setattr("sys.stdout", made)
    return made


def assert_harmless(text: str, lines: int | None = None) -> None:
    assert "owned" in text
    assert not [character for character in text if not (character.isprintable() or character in "\n\t")]
    assert not [line for line in text.splitlines() if line.startswith("state: succeeded")]
    assert lines is None or text.count("\n") == lines


def job() -> JobView:
    return JobView.of(msgspec.json.encode(JOB))


@KINDS
def test_a_job_is_shown_without_its_control_characters(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = standard_output(kind, monkeypatch)
    asking.print_rows(job())
    assert_harmless(out.getvalue(), None if out.isatty() else len(job().rows()))


@KINDS
def test_a_list_has_a_line_for_each_row(kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    out = standard_output(kind, monkeypatch)
    print_rows(("id", "says"), [("1", HOSTILE), ("2", HOSTILE)])
    assert_harmless(out.getvalue(), None if out.isatty() else 2)


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_job_that_is_watched_writes_no_control_characters(terminal: bool) -> None:
    file = io.StringIO()

    async def states() -> AsyncIterator[JobView]:
        yield job()

    await watch(states(), Console(file=file, force_terminal=terminal, width=300, no_color=True, legacy_windows=False))
    # On a terminal the bar has sequences of its own.
    assert not {"\x07", "\x9b", "\u202e", "\x7f"} & set(file.getvalue())
    assert "\x1b]0;" not in file.getvalue()
    assert "\x1b[2J" not in file.getvalue()
    assert "owned" in file.getvalue()


@KINDS
def test_json_means_the_same_without_control_characters(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = standard_output(kind, monkeypatch)
    print_json(msgspec.json.encode({"says": HOSTILE, "name": "Zoë"}))
    assert_harmless(out.getvalue())
    assert json.loads(out.getvalue()) == {"says": HOSTILE, "name": "Zoë"}
    assert "Zoë" in out.getvalue()


def test_an_error_that_quotes_what_was_given_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--label", HOSTILE]) == 2
    assert_harmless(capsys.readouterr().err, 1)


def test_ids_are_whole_on_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    out = standard_output(Terminal, monkeypatch)
    id = new_id()
    row = (id, "resize", "2026-11-24 20:00:00 CEST", "failed: FileNotFoundError: no such file: cat.jpg")
    print_rows(("id", "type", "created", "state"), [row])
    delivery = f"msg_{id}_1738310400000_3"
    tail = ("job.failed", "https://example.com/hook", "pending until 2026-11-24 20:00:00 CEST", "3", "answered 500")
    print_rows(("id", "event", "target", "state", "tries", "last problem"), [(delivery, *tail)])
    assert id in out.getvalue()
    assert delivery in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80
