"""What a row of the fault matrix comes to."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace


class RowResult(Struct, kw_only=True):
    """One JSON line. `why` says what was not as promised; a row with nothing there has passed."""

    row: int
    fault: str
    store: str
    scale: str
    passed: bool
    why: list[str] = []
    attempted: int = 0
    acknowledged: int = 0
    lost: int = 0
    unexpected: int = 0
    duplicated_explained: int = 0
    duplicated_unexplained: int = 0
    stale_accepted: int = 0
    illegal: int = 0
    stuck: int = 0
    recovery: dict[str, float] = {}
    extra: dict[str, Any] = {}
    seconds: float = 0.0


COUNTS = (
    *("attempted", "acknowledged", "lost", "unexpected", "duplicated_explained", "duplicated_unexplained"),
    *("stale_accepted", "illegal", "stuck"),
)


def joined(parts: Mapping[str, RowResult], recovery: Sequence[float] = ()) -> RowResult:
    """One result for a row that was played in parts."""
    first = next(iter(parts.values()))
    return replace(
        first,
        passed=all(part.passed for part in parts.values()),
        why=[f"{name}: {line}" for name, part in parts.items() for line in part.why],
        recovery=percentiles(recovery),
        extra={name: part.extra for name, part in parts.items() if part.extra},
        **{count: sum(getattr(part, count) for part in parts.values()) for count in COUNTS},
    )


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """The p50, p95 and the longest; empty when nothing was measured."""
    if not seconds:
        return {}
    ordered = sorted(seconds)

    def at(part: float) -> float:
        return round(ordered[max(0, math.ceil(part * len(ordered)) - 1)], 3)

    return {"p50": at(0.5), "p95": at(0.95), "max": round(ordered[-1], 3)}
