"""A job's life in short: at which version it came to which state, in a text that is kept with the job.

``2r7q8r9s``: running at version 2, queued again at 7, running at 8, succeeded at 9. The state of version 1 is left out,
and versions that only brought progress are in no state's place. The text is short enough to be kept with every job, and
enough to tell somebody who has seen version 2 what has happened since.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from async_job.core.job import State

LETTERS: Final[dict[State, str]] = {
    State.SCHEDULED: "d",
    State.QUEUED: "q",
    State.RUNNING: "r",
    State.SUCCEEDED: "s",
    State.FAILED: "f",
    State.CANCELLED: "c",
    State.EXPIRED: "e",
}
KEPT: Final = 60
"""Characters: about the last twenty states."""

STATES: Final = {letter: state for state, letter in LETTERS.items()}
ENTRY: Final = re.compile(r"(\d+)([a-z])")


class Step(Struct, frozen=True):
    """The job came to the state at this version. ``again``: it was in it already, as when a run is asked to cancel."""

    version: int
    state: State
    again: bool = False


def lived(life: str, version: int, state: State) -> str:
    """The life with one more step. Stores write it with each step; what is too old falls off at the front."""
    return f"{life}{version}{LETTERS[state]}"[-KEPT:]


def steps_after(life: str, version: int) -> list[Step] | None:
    """The steps after a version, oldest first; ``None``: they are no longer all known."""
    steps: list[Step] = []
    for number, letter in ENTRY.findall(life):
        state = STATES[letter]
        steps.append(Step(int(number), state, again=bool(steps) and steps[-1].state is state))
    if len(life) >= KEPT:
        # The first may have lost digits.
        del steps[0]
        if version < steps[0].version:
            return None
    return [step for step in steps if step.version > version]
