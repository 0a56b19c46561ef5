"""How structured fields are written: JSON text, the same in every store."""

from __future__ import annotations

import msgspec

from async_job.core.delivery import Delivery
from async_job.core.job import Attempt, ErrorInfo, LogLine, Progress

encode = msgspec.json.Encoder().encode

decode_labels = msgspec.json.Decoder(dict[str, str]).decode
decode_error = msgspec.json.Decoder(ErrorInfo).decode
decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode
decode_progress = msgspec.json.Decoder(Progress).decode
decode_log_line = msgspec.json.Decoder(LogLine).decode
decode_delivery = msgspec.json.Decoder(Delivery).decode
decode_queues = msgspec.json.Decoder(tuple[str, ...]).decode


def log_bytes(line: LogLine) -> int:
    """What the line counts of the bytes that a job's log keeps: its text's."""
    return len(line.message.encode())


class LogLimits(msgspec.Struct, frozen=True):
    """A job's log keeps its newest lines: at most so many, with at most so many bytes of text (UTF-8)."""

    lines: int = 1_000
    bytes: int = 256 * 1024


USUAL_LIMITS = LogLimits()

LONGEST_NUMBER = 18
"""Digits that a 64-bit number has for sure."""


def change_number(cursor: str) -> int:
    """The number of the change after which a cursor goes on; -1: it is none that a store gave."""
    fits = cursor.isascii() and cursor.isdigit() and len(cursor) <= LONGEST_NUMBER
    return int(cursor) if fits else -1
