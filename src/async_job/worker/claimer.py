"""The claimer: one loop that tells the store what has ended and takes what is next, in one round trip.

One such trip is in flight, or two, each for its share of the jobs: while some are told and taken, the others run. What
ends when all are in flight goes with the next, so groups grow by themselves; an idle worker waits for the store's
hint, or until the next scheduled job is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, cast

from async_job.core.job import Change, Job
from async_job.core.lifecycle import Outcome, Retention, decide
from async_job.errors import LeaseOver, Lost, StoreError, Unreadable
from async_job.logs import get_logger
from async_job.store.protocol import BATCH, Claimed, ClaimId, Stale, Store
from async_job.worker.active import ActiveRun
from async_job.worker.claims import Claims
from async_job.worker.executor import Executor
from async_job.worker.failure_log import log_failure
from async_job.worker.slots import Slots

LONGEST_WAIT: Final = 5.0
"""Seconds an idle worker waits for a hint before it looks by itself."""
TURNS: Final = 2
"""Turns of the event loop until a trip that sets out calls the store, and the store sends."""
PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds to wait after each failure of the store in a row; the last one from then on."""

log = get_logger()


class Claimer:
    """Keeps up to ``concurrency`` runs going. ``active`` holds every job from its claim until its outcome has reached
    the store. ``on_deadline`` is called when a run with a timeout starts or ends. ``trips``: how many may be in
    flight."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        worker: str,
        queues: Sequence[str],
        strict: bool,
        concurrency: int,
        retention: Retention,
        on_deadline: Callable[[], None] = lambda: None,
        *,
        trips: int = 1,
    ) -> None:
        self._store = store
        self.worker = worker
        self._queues = tuple(queues)
        self._strict = strict
        self._most_trips = trips
        self._retention = retention
        self._slots = Slots(executor, concurrency, store.now, self._end, on_deadline)
        self.active = self._slots.active
        self._ended: list[tuple[ActiveRun, Outcome]] = []
        self.claims = Claims()
        self._trips: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._failures = 0
        self._claiming = True
        self._hungry = True
        """There is a reason to look for jobs."""
        self._plenty = False
        """The last claim was given as many as it asked for."""
        self._next_due: int | None = None
        self._bell = asyncio.Event()
        self._hint: asyncio.Task[None] | None = None

    def stop_claiming(self) -> None:
        """From now on nothing new is taken; the loop ends when the last outcome has been told."""
        self._claiming = False
        self._bell.set()

    def release(self) -> None:
        """Stops whatever runs; what is claimed from now on goes back at once."""
        self._slots.stop()

    async def run(self) -> None:
        """The loop.

        Raises:
            NotEnrolled: the worker's id was retired; whatever ran was stopped.
        """
        try:
            while self._claiming or self.active or self._trips:
                await self._slots.go_on()
                self._bell.clear()
                if self._broken is not None:
                    raise self._broken
                if not self._set_out():
                    await self._rest()
                    continue
                # Trips that come to the store together would go as one.
                for _ in range(TURNS):
                    await asyncio.sleep(0)
        finally:
            left = {*self._trips, *filter(None, [self._hint])}
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    def _set_out(self) -> bool:
        """Starts a trip, if there is reason to and one may be made. It tells and takes a share of what there is, so
        that all trips are alike."""
        if len(self._trips) >= self._most_trips:
            return False
        capacity = self._slots.capacity()
        share = min(-(-capacity // self._most_trips), BATCH)
        claim = self.claims.next(self._room(capacity, share)) if self._claiming else None
        if not self._ended and claim is None:
            return False
        self._hungry = self._hungry and claim is None
        # What is left of a time with more jobs goes in as few trips as it would have gone then.
        told = min(max(share, -(-len(self._ended) // self._most_trips)), BATCH)
        ended, self._ended = self._ended[:told], self._ended[told:]
        self._trips.add(asyncio.get_running_loop().create_task(self._travel(ended, claim)))
        return True

    def _room(self, capacity: int, share: int) -> int:
        """How many jobs to ask for. With nothing to tell, it asks only when there is a reason to; and by one claim at a
        time, unless there was plenty and another would bring a whole share."""
        room = min(capacity - self._slots.taken - self.claims.asked_for, share)
        if self._ended or (self._plenty and room == share):
            return room
        return room if (self._plenty or self._hungry) and not self.claims.under_way else 0

    async def _travel(self, ended: list[tuple[ActiveRun, Outcome]], claim: tuple[int, int] | None) -> None:
        try:
            await self._recover(await self._trip(ended, claim))
        except Exception as error:  # noqa: BLE001 - the loop raises it
            self._broken = error
        finally:
            self._trips.discard(cast(asyncio.Task[None], asyncio.current_task()))
            self._bell.set()

    async def _trip(self, ended: list[tuple[ActiveRun, Outcome]], claim: tuple[int, int] | None) -> list[BaseException]:
        """One round trip, and the errors that it met. What failed is tried again with the next: outcomes are known by
        their tokens, and a claim that was not answered is asked for again under the same number."""
        changes = self._decide(ended)
        calls: list[Coroutine[Any, Any, Any]] = []
        # Claims are asked for in the order of their numbers, so this one may not begin later than the next trip.
        if claim is not None:
            number, limit = claim
            calls.append(_caught(self._store.claim(ClaimId(self.worker, number), self._turn(number), limit)))
        if changes:
            calls.append(_caught(self._store.apply([change for _, _, change in changes])))
        if not calls:
            # Whatever had ended was somebody else's by now, and there is no room for more.
            return []
        # The second begins while this waits for the first, so that both go together.
        second = map(asyncio.get_running_loop().create_task, calls[1:])
        answers = [await call for call in (calls[0], *second)]
        if changes and isinstance(answers[-1], Unreadable):
            answers[-1:] = await self._tell_apart(changes)
        elif changes:
            self._applied(changes, answers[-1])
        if claim is not None:
            self._claimed(answers[0], *claim)
        return [answer for answer in answers if isinstance(answer, BaseException)]

    def _decide(self, ended: list[tuple[ActiveRun, Outcome]]) -> list[tuple[ActiveRun, Outcome, Change]]:
        changes = []
        now = self._store.now()
        for active, outcome in ended:
            try:
                change = decide(active.job, outcome, now, self._retention)
            except Lost as error:
                state = error.job and error.job.state
                log.warning("an outcome came too late and was dropped", job=active.job.id, state=state)
                self.active.discard(active)
                continue
            if change is None:
                self.active.discard(active)
            else:
                changes.append((active, outcome, change))
        return changes

    async def _tell_apart(self, changes: list[tuple[ActiveRun, Outcome, Change]]) -> list[BaseException]:
        """Tells each outcome by itself, because the record of one cannot be read: that one is told once, whatever the
        store makes of it, and the others reach the store. Answers with the errors of those that did not."""
        answers = await asyncio.gather(*(_caught(self._store.apply([change])) for _, _, change in changes))
        failed = []
        for told, answer in zip(changes, answers, strict=True):
            if isinstance(answer, Unreadable):
                log.error("an outcome may not be stored, its job cannot be read", job=told[0].job.id, error=str(answer))
                self.active.discard(told[0])
                continue
            self._applied([told], answer)
            if isinstance(answer, BaseException):
                failed.append(answer)
        return failed

    def _applied(
        self, changes: list[tuple[ActiveRun, Outcome, Change]], answers: list[Job | Stale] | BaseException
    ) -> None:
        if isinstance(answers, BaseException):
            self._ended += [(active, outcome) for active, outcome, _ in changes]
            return
        for (active, outcome, change), answer in zip(changes, answers, strict=True):
            if isinstance(answer, Stale) and answer.job is not None:
                active.job = answer.job
                self._ended.append((active, outcome))
                continue
            self.active.discard(active)
            # Runs that succeeded write no attempts, and are asked nothing more.
            if "attempts" in change.fields and isinstance(answer, Job):
                log_failure(answer)

    def _claimed(self, claimed: Claimed | BaseException, number: int, limit: int) -> None:
        if isinstance(claimed, BaseException):
            self.claims.fail(number)
            return
        self.claims.settle(number)
        self._plenty = len(claimed.jobs) == limit
        self._next_due = claimed.next_due
        self._slots.put(claimed.jobs)

    def _end(self, active: ActiveRun, outcome: Outcome | None) -> None:
        if outcome is None:
            self.active.discard(active)
        else:
            self._ended.append((active, outcome))
        self._bell.set()

    async def _recover(self, failed: list[BaseException]) -> None:
        """After a failure of the store: a pause. Any other error ends the loop."""
        for error in failed:
            if not isinstance(error, StoreError | LeaseOver):
                self._abandon()
                raise error
        if not failed:
            self._failures = 0
            return
        if not self._failures:
            log.warning("the store does not answer, trying again", worker=self.worker, error=str(failed[0]))
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        await asyncio.sleep(pause)

    def _abandon(self) -> None:
        """This worker no longer owns anything: whatever runs is stopped, and nothing is told."""
        for active in list(self.active):
            active.lost = True
            active.stop()

    def _turn(self, number: int) -> tuple[str, ...]:
        """The queues in the order of this claim: each is first in turn, unless the order given is strict."""
        if self._strict or len(self._queues) == 1:
            return self._queues
        first = (number - 1) % len(self._queues)
        return self._queues[first:] + self._queues[:first]

    async def _rest(self) -> None:
        """Waits for an outcome or a trip's end, and when the last claim left room also for the store's hint or the next
        due time."""
        timer = None
        room = self._slots.free and not self.claims.under_way
        if self._claiming and room and not self._plenty:
            loop = asyncio.get_running_loop()
            if self._hint is None:
                self._hint = loop.create_task(self._wait_for_hint())
            if self._next_due is not None:
                due = max(0.0, (self._next_due - self._store.now()) / 1000)
                timer = loop.call_later(min(due, LONGEST_WAIT), self._look)
        await self._bell.wait()
        if timer is not None:
            timer.cancel()

    async def _wait_for_hint(self) -> None:
        try:
            await self._store.wait(self._queues, LONGEST_WAIT)
        except StoreError as error:
            log.warning("cannot wait for jobs, looking instead", error=str(error))
            await asyncio.sleep(PAUSES[-1])
        finally:
            self._hint = None
        self._look()

    def _look(self) -> None:
        """There may be something to claim."""
        self._hungry = True
        self._bell.set()


async def _caught(call: Coroutine[Any, Any, Any]) -> Any:
    """What the call returns, or the error that it raises."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - looked at by the caller
        return error
