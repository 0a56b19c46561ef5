"""Reads what the bodies of jobs have left: see `bodies`."""

import bisect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bodies import EVERY

Numbers = memoryview


def slots(folder: Path) -> Iterator[tuple[str, Numbers]]:
    """Of each thread that has run a job: its pid and its numbers."""
    for path in folder.iterdir():
        written = path.read_bytes()
        # Between its making and its filling a file is empty.
        if written and (numbers := memoryview(written).cast("d"))[0]:
            yield path.name.partition("-")[0], numbers


def count(folder: Path) -> int:
    """How many jobs have ended."""
    return sum(int(numbers[0]) for _, numbers in slots(folder))


def rate(folder: Path) -> float:
    """Jobs a second while all processes were at work: from when the last of them had ended its first job (or a tenth of
    all jobs was done) until the last job ended."""
    found = list(slots(folder))
    first: dict[str, float] = defaultdict(lambda: float("inf"))
    for pid, numbers in found:
        first[pid] = min(first[pid], numbers[2])
    times = sorted(time for _, numbers in found for time in _marks(numbers))
    begin = min(max(first.values()), times[len(times) // 10])
    end = max(numbers[1] for _, numbers in found)
    before = sum(_count_at(numbers, begin) for _, numbers in found)
    return (sum(int(numbers[0]) for _, numbers in found) - before) / (end - begin)


def _marks(numbers: Numbers) -> list[float]:
    """When the first job of this thread ended, and each `EVERY`-th after it."""
    return list(numbers[2 : 2 + (int(numbers[0]) - 1) // EVERY + 1])


def _count_at(numbers: Numbers, time: float) -> float:
    """How many jobs of this thread had ended by then, in a straight line between two marks."""
    marks = _marks(numbers)
    if time < marks[0]:
        return 0
    after = bisect.bisect_right(marks, time)
    if after == len(marks):
        last, many = numbers[1], int(numbers[0]) - 1 - EVERY * (after - 1)
    else:
        last, many = marks[after], EVERY
    length = last - marks[after - 1]
    part = (time - marks[after - 1]) / length if length > 0 else 0
    return 1 + EVERY * (after - 1) + min(part, 1) * many
