"""What all commands print in the same way."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console


def print_json(text: bytes) -> None:
    """On a terminal with colours and indented, elsewhere on one line."""
    if sys.stdout.isatty():
        Console().print_json(text.decode())
    else:
        print(msgspec.json.format(text, indent=0).decode())
