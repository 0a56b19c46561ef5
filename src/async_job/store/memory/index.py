"""Ids in order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator


class Index:
    """Ids in the order of a number, then of the id."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, str]] = []

    def add(self, score: int, id: str) -> None:
        insort(self._entries, (score, id))

    def remove(self, score: int, id: str) -> None:
        at = bisect_left(self._entries, (score, id))
        if at < len(self._entries) and self._entries[at] == (score, id):
            del self._entries[at]

    def up_to(self, score: int, limit: int) -> list[str]:
        """The first ids whose number is at most ``score``, lowest first."""
        return [id for _, id in self._entries[: min(limit, bisect_left(self._entries, (score + 1, "")))]]

    def after(self, place: tuple[int, str] | None, limit: int, backwards: bool) -> list[tuple[int, str]]:
        """Up to ``limit`` entries behind a place, which need not be there any more; ``None``: from the start, or
        ``backwards`` from the end."""
        if backwards:
            end = len(self._entries) if place is None else bisect_left(self._entries, place)
            return self._entries[max(0, end - limit) : end][::-1]
        start = 0 if place is None else bisect_right(self._entries, place)
        return self._entries[start : start + limit]

    def ahead_of(self, score: int, id: str) -> int:
        """How many entries stand before this one."""
        return bisect_left(self._entries, (score, id))

    def first(self) -> tuple[int, str] | None:
        return self._entries[0] if self._entries else None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return (id for _, id in self._entries)

    def pairs(self) -> set[tuple[int, str]]:
        return set(self._entries)
