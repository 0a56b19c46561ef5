"""Text of others on its way to a terminal or into a line: nothing in it moves a cursor, or forges a second line."""

from __future__ import annotations

import re
from typing import Final

CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
CONTROL_BUT_LINES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """On one line, with control characters as Python writes them: ``\\x1b``."""
    return CONTROL.sub(_as_python, text)


def escape_but_lines(text: str) -> str:
    """The same for text that may have lines, as a traceback has."""
    return CONTROL_BUT_LINES.sub(_as_python, text)


def escape_json(text: str) -> str:
    """JSON text that means the same; what JSON itself lets pass is escaped, too."""
    return CONTROL_BUT_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_python(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
