"""A worker's claims by their numbers: how many may be under way, and which is to be asked again."""

from __future__ import annotations

from async_job.store.protocol import CLAIMS_IN_FLIGHT


class Claims:
    """A claim keeps its number and its limit until it is answered: asked again under the same, it gets what it was
    given, and until then nobody knows how many that are. So its ``limit`` counts as given."""

    def __init__(self) -> None:
        self._last = 0
        self._unanswered: dict[int, int] = {}
        self._failed: list[int] = []

    @property
    def answered(self) -> int:
        """All claims up to this number were answered."""
        return min(self._unanswered, default=self._last + 1) - 1

    @property
    def asked_for(self) -> int:
        """How many jobs the claims that are not answered may be given."""
        return sum(self._unanswered.values())

    @property
    def under_way(self) -> bool:
        """Whether one is at the store now."""
        return len(self._unanswered) > len(self._failed)

    def next(self, room: int) -> tuple[int, int] | None:
        """Number and limit of the claim to make now: one that failed, or a new one if there is room; ``None``: none,
        also if a new one would come more than ``CLAIMS_IN_FLIGHT`` before the answer to an older."""
        if self._failed:
            number = self._failed.pop(0)
            return number, self._unanswered[number]
        if room <= 0 or self._last - self.answered >= CLAIMS_IN_FLIGHT:
            return None
        self._last += 1
        self._unanswered[self._last] = room
        return self._last, room

    def settle(self, number: int) -> None:
        """It was answered."""
        del self._unanswered[number]

    def fail(self, number: int) -> None:
        """It was not: whether the store has given anything is not known."""
        self._failed = sorted((*self._failed, number))
