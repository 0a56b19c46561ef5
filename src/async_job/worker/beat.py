"""The beat: tells the store what runs say, and hears which of them are to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from async_job.errors import StoreError
from async_job.logs import get_logger
from async_job.store.protocol import Answer, Beat, Store
from async_job.worker.active import ActiveRun

BEAT: Final = 1.0
"""Each run is heard of once in so many seconds, with news or without."""

log = get_logger()


class Heart:
    """Beats for the runs in ``active``, a collection that others fill and empty; looks for news each ``interval``
    seconds."""

    def __init__(self, store: Store, active: Collection[ActiveRun], interval: float) -> None:
        self._store = store
        self._active = active
        self._interval = interval

    async def run(self) -> None:
        """The loop; ends only by cancellation."""
        tick, ticks_a_beat = 0, round(BEAT / self._interval)
        while True:
            await asyncio.sleep(self._interval)
            tick += 1
            every = tick % ticks_a_beat == 0
            runs = [run for run in self._active if not run.ended and (every or run.has_news)]
            if runs:
                await self._beat(runs)

    async def _beat(self, runs: list[ActiveRun]) -> None:
        beats = [run.beat() for run in runs]
        try:
            answers = await self._store.report(beats)
        except StoreError as error:
            log.warning("a beat did not reach the store, its news go with the next", error=str(error))
            self._keep(runs, beats)
            return
        for run, answer in zip(runs, answers, strict=True):
            if run.ended:
                # It has told its outcome itself, perhaps in the same trip.
                continue
            if answer is Answer.CANCEL:
                run.cancel_asked = True
                run.stop()
            elif answer is Answer.LOST:
                log.warning("a job is no longer this worker's, stopping it", job=run.job.id)
                run.lost = True
                run.stop()

    def _keep(self, runs: list[ActiveRun], beats: list[Beat]) -> None:
        for run, beat in zip(runs, beats, strict=True):
            run.give_back(beat)
