"""What all commands print in the same way."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from async_job.escaping import escape, escape_json

Row = Sequence[str]


def print_json(text: bytes) -> None:
    """On a terminal with colours and indented, elsewhere on one line."""
    if sys.stdout.isatty():
        Console().print(JSONHighlighter()(escape_json(msgspec.json.format(text).decode())), soft_wrap=True)
    else:
        print(escape_json(msgspec.json.format(text, indent=0).decode()))


def print_rows(names: Row, rows: Sequence[Row]) -> None:
    """Aligned under their names on a terminal, with tabs between them elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            print(*map(escape, row), sep="\t")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        # The first is what a row is known by, and is copied into the next command.
        table.add_column(name, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(escape(cell)) for cell in row))
    Console().print(table)


def give_up_output() -> None:
    """Has nothing more written to standard output, not even at the end what is still kept for it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def local_time(at: int) -> str:
    """Milliseconds since 1970 for people."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
