"""`apply`: writes what was decided, where the guard still holds."""

from typing import Any

import pytest

from async_job.clock import ManualClock
from async_job.core.job import Change, ErrorKind, Guard, LogLine, Progress, State
from async_job.core.lifecycle import (
    CancelRequested,
    Crashed,
    Event,
    Failed,
    LeaseLapsed,
    NotKnown,
    Overdue,
    Released,
    RetryRequested,
    Stopped,
    Succeeded,
)
from async_job.store.protocol import Answer, Beat, Entry, Stale, Store
from support.jobs import (
    HOUR,
    LEASE,
    change,
    claim,
    cursor,
    entries,
    error,
    full_job,
    make_job,
    make_worker,
    read,
    run,
    submit,
    tell,
    written,
)

LINE = LogLine(5, "ä\x00\n")
TOKEN = "w:1"

OUTCOMES: dict[str, tuple[Event, State]] = {
    "succeeded": (Succeeded(TOKEN, '"ä"'.encode(), Progress(2, 2), (LINE,)), State.SUCCEEDED),
    "stopped": (Stopped(TOKEN, Progress(1), (LINE,)), State.CANCELLED),
    "failed for now": (Failed(TOKEN, error(traceback="…\x00"), log=(LINE,)), State.SCHEDULED),
    "failed at last": (Failed(TOKEN, error(retryable=False), isolate=True, log=(LINE,)), State.FAILED),
    "released": (Released(TOKEN, "shutdown", log=(LINE,)), State.QUEUED),
    "not known": (NotKnown(TOKEN), State.SCHEDULED),
    "crashed alone": (Crashed(TOKEN, "signal 9", alone=True), State.QUEUED),
    "crashed with others": (Crashed(TOKEN, "signal 9", alone=False), State.QUEUED),
}


@pytest.mark.parametrize(("event", "state"), OUTCOMES.values(), ids=OUTCOMES)
class TestOutcomes:
    async def test_every_field_is_written(self, store: Store, clock: ManualClock, event: Event, state: State) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        clock.advance(1)
        start = await cursor(store)
        decided = change(job, event, clock.now())
        (answer,) = await store.apply([decided])
        assert answer == written(decided)
        assert await read(store, "a") == answer
        assert answer.state is state
        assert await store.log("a") == list(decided.log)
        assert await entries(store, start) == [Entry("a", answer.version, state, answer.reason)]

    async def test_a_full_job_keeps_the_rest(self, store: Store, event: Event, state: State) -> None:
        await store.enroll(make_worker(), LEASE)
        await store.submit([full_job(store.now(), suspect=False)])
        (job,) = await claim(store, 1, queues=("mail",))
        answer = await tell(store, job, event)
        assert answer == written(change(job, event, store.now()))
        assert await read(store, "full") == answer

    async def test_told_again_it_gets_the_first_answer(self, store: Store, event: Event, state: State) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        first = await tell(store, job, event)
        start = await cursor(store)
        assert await store.apply([change(job, event, store.now() + 5)]) == [first]
        assert await read(store, "a") == first
        assert await store.log("a") == list(change(job, event, 0).log)
        assert await entries(store, start) == []

    async def test_another_outcome_of_the_same_run_gets_the_first_answer(
        self, store: Store, event: Event, state: State
    ) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        first = await tell(store, job, event)
        assert await store.apply([change(job, Succeeded(TOKEN, b"2"), store.now())]) == [first]
        assert await read(store, "a") == first

    async def test_after_a_new_claim_it_is_stale(
        self, store: Store, clock: ManualClock, event: Event, state: State
    ) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        await tell(store, job, Released(TOKEN))
        (later,) = await claim(store, 2)
        assert await store.apply([change(job, event, clock.now())]) == [Stale(later)]
        assert await read(store, "a") == later
        assert await store.log("a") == []

    async def test_after_a_rescue_it_is_stale(
        self, store: Store, clock: ManualClock, event: Event, state: State
    ) -> None:
        (job,) = await run(store, "a")
        clock.advance(LEASE / 1000)
        rescued = await tell(store, job, LeaseLapsed(TOKEN))
        assert rescued.token is None
        assert await store.apply([change(job, event, clock.now())]) == [Stale(rescued)]
        assert await read(store, "a") == rescued

    async def test_a_lapsed_lease_alone_does_not_matter(
        self, store: Store, clock: ManualClock, event: Event, state: State
    ) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        clock.advance(LEASE)
        assert (await tell(store, job, event)).state is state

    async def test_the_job_leaves_its_worker(self, store: Store, event: Event, state: State) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        await tell(store, job, event)
        assert await store.retire("w") == []

    async def test_it_goes_where_its_state_says(
        self, store: Store, clock: ManualClock, event: Event, state: State
    ) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        await tell(store, job, event)
        clock.advance(3_000)
        await store.extend(["w"], LEASE)
        ended = state in (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        assert [job.id for job in await claim(store, 2)] == ([] if ended else ["a"])

    async def test_a_cancel_in_between_makes_it_stale_unless_it_ends_the_same(
        self, store: Store, event: Event, state: State
    ) -> None:
        (job,) = await run(store, "a", max_attempts=2)
        asked = await tell(store, job, CancelRequested())
        (answer,) = await store.apply([change(job, event, store.now())])
        if isinstance(event, Succeeded | Stopped):
            assert isinstance(answer, type(job))
            assert (answer.state, answer.cancel_requested_at) == (state, asked.cancel_requested_at)
        else:
            assert answer == Stale(asked)
            assert await read(store, "a") == asked
            assert (await tell(store, asked, event)).state is State.CANCELLED


class TestGuards:
    @pytest.mark.parametrize(
        "guard",
        [
            Guard(state=State.RUNNING),
            Guard(state=State.SCHEDULED),
            Guard(state=State.QUEUED, token="w:1"),
        ],
    )
    async def test_one_that_does_not_hold_writes_nothing(self, store: Store, guard: Guard) -> None:
        (job,) = await submit(store, "a")
        start = await cursor(store)
        fields = {"state": State.FAILED, "reason": "x", "updated_at": 1}
        wrong = Change(job=job, guard=guard, fields=fields, log=(LINE,))
        assert await store.apply([wrong]) == [Stale(job)]
        assert await store.get(["a"]) == [job]
        assert await store.log("a") == []
        assert await entries(store, start) == []

    async def test_a_job_that_is_gone(self, store: Store) -> None:
        job = make_job(store.now(), "a")
        assert await store.apply([change(job, CancelRequested(), 1)]) == [Stale(None)]
        assert await store.get(["a"]) == [None]

    async def test_lapsed_holds_from_the_end_of_the_lease_on(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a")
        rescue = change(job, LeaseLapsed(TOKEN), clock.now())
        clock.advance((LEASE - 1) / 1000)
        assert await store.apply([rescue]) == [Stale(job)]
        clock.advance(0.001)
        (answer,) = await store.apply([rescue])
        assert not isinstance(answer, Stale)
        assert (answer.state, answer.token) == (State.QUEUED, None)

    async def test_lapsed_does_not_hold_after_a_renewal(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a")
        clock.advance(LEASE)
        await store.extend(["w"], LEASE)
        assert await store.apply([change(job, LeaseLapsed(TOKEN), clock.now())]) == [Stale(job)]

    async def test_lapsed_holds_for_a_retired_worker(self, store: Store) -> None:
        (job,) = await run(store, "a")
        await store.retire("w")
        assert (await tell(store, job, LeaseLapsed(TOKEN))).state is State.QUEUED

    async def test_a_rescue_twice_is_stale_the_second_time(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a")
        clock.advance(LEASE)
        rescued = await tell(store, job, LeaseLapsed(TOKEN))
        assert await store.apply([change(job, LeaseLapsed(TOKEN), clock.now())]) == [Stale(rescued)]
        assert (await read(store, "a")).crashes == 1

    async def test_a_cancel_in_between_makes_a_rescue_stale(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a")
        clock.advance(LEASE)
        asked = await tell(store, job, CancelRequested())
        assert await store.apply([change(job, LeaseLapsed(TOKEN), clock.now())]) == [Stale(asked)]
        assert (await tell(store, asked, LeaseLapsed(TOKEN))).state is State.CANCELLED

    async def test_two_cancels_ask_once(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a")
        asked = await tell(store, job, CancelRequested())
        assert await store.apply([change(job, CancelRequested(), clock.now() + 9)]) == [Stale(asked)]

    async def test_a_report_in_between_does_no_harm(self, store: Store) -> None:
        (job,) = await run(store, "a")
        await store.report([Beat("a", TOKEN, Progress(1, 2), (LINE,))])
        await tell(store, job, Succeeded(TOKEN, b"1", log=(LogLine(6, "end"),)))
        ended = await read(store, "a")
        assert (ended.state, ended.progress, ended.version) == (State.SUCCEEDED, Progress(1, 2), job.version + 2)
        assert await store.log("a") == [LINE, LogLine(6, "end")]

    async def test_a_retry_or_release_forgets_the_progress(self, store: Store) -> None:
        a, b = await run(store, "a", "b")
        await store.report([Beat("a", TOKEN, Progress(1)), Beat("b", TOKEN, Progress(1))])
        await tell(store, a, Failed(TOKEN, error()))
        await tell(store, b, Released(TOKEN))
        assert [job and job.progress for job in await store.get(["a", "b"])] == [None, None]

    async def test_promotion_in_between_makes_a_cancel_stale(self, store: Store, clock: ManualClock) -> None:
        (job,) = await submit(store, "a", delay=1_000)
        await store.enroll(make_worker(), LEASE)
        clock.advance(1)
        await claim(store, queues=("other",))
        queued = await read(store, "a")
        assert await store.apply([change(job, CancelRequested(), clock.now())]) == [Stale(queued)]
        assert (await tell(store, queued, CancelRequested())).state is State.CANCELLED


class TestWaitingJobs:
    @pytest.mark.parametrize("delay", [0, 1_000])
    async def test_a_cancelled_one_never_starts(self, store: Store, clock: ManualClock, delay: int) -> None:
        (job,) = await submit(store, "a", delay=delay, start_by=store.now() + HOUR)
        assert (await tell(store, job, CancelRequested())).state is State.CANCELLED
        clock.advance(2 * HOUR)
        await store.enroll(make_worker(), LEASE)
        assert await claim(store) == []
        assert await store.overdue(10) == []

    @pytest.mark.parametrize("delay", [0, 2_000])
    async def test_an_expired_one_never_starts(self, store: Store, clock: ManualClock, delay: int) -> None:
        (job,) = await submit(store, "a", delay=delay, start_by=store.now() + 1_000)
        clock.advance(1)
        assert (await tell(store, job, Overdue())).state is State.EXPIRED
        clock.advance(5)
        await store.enroll(make_worker(), LEASE)
        assert await claim(store) == []
        assert await store.overdue(10) == []

    async def test_a_retried_one_starts_again(self, store: Store, clock: ManualClock) -> None:
        (job,) = await submit(store, "a", start_by=store.now())
        expired = await tell(store, job, Overdue())
        clock.advance(1)
        retried = await tell(store, expired, RetryRequested())
        assert (retried.state, retried.kept_until, retried.start_by) == (State.QUEUED, None, None)
        clock.advance(14 * 24 * 3600)
        assert await store.overdue(10) == []
        assert await store.purge(10) == 0
        await store.enroll(make_worker(), LEASE)
        assert [job.id for job in await claim(store)] == ["a"]

    async def test_a_retried_run_keeps_its_attempts(self, store: Store) -> None:
        (job,) = await run(store, "a", max_attempts=1)
        failed = await tell(store, job, Failed(TOKEN, error(ErrorKind.TIMEOUT)))
        retried = await tell(store, failed, RetryRequested())
        assert (retried.attempts, retried.failures, retried.attempt) == (failed.attempts, 0, 1)
        assert await read(store, "a") == retried
        (again,) = await claim(store, 2)
        assert (again.attempt, again.token) == (2, "w:2")

    async def test_a_retry_twice_is_stale_the_second_time(self, store: Store) -> None:
        (job,) = await submit(store, "a")
        cancelled = await tell(store, job, CancelRequested())
        retried = await tell(store, cancelled, RetryRequested())
        assert await store.apply([change(cancelled, RetryRequested(), 9)]) == [Stale(retried)]


class TestUniqueKeys:
    async def test_a_retry_takes_the_key_again(self, store: Store) -> None:
        (job,) = await submit(store, "a", unique_key="k")
        await tell(store, await tell(store, job, CancelRequested()), RetryRequested())
        (answer,) = await store.submit([make_job(store.now(), "b", unique_key="k")])
        assert (answer.id, answer.created) == ("a", False)

    async def test_a_retry_gives_way_to_the_holder(self, store: Store) -> None:
        (job,) = await submit(store, "a", unique_key="k")
        cancelled = await tell(store, job, CancelRequested())
        await submit(store, "b", unique_key="k")
        start = await cursor(store)
        assert await store.apply([change(cancelled, RetryRequested(), 9)]) == [Stale(cancelled, "b")]
        assert await read(store, "a") == cancelled
        assert await entries(store, start) == []

    async def test_a_job_gives_up_only_its_own(self, store: Store) -> None:
        """`a` ends, `b` takes the key; `a` told again to end must not give up the key of `b`."""
        (a,) = await run(store, "a", unique_key="k")
        await tell(store, a, Succeeded(TOKEN, b"1"))
        await submit(store, "b", unique_key="k")
        await store.apply([change(a, Succeeded(TOKEN, b"1"), 9)])
        (answer,) = await store.submit([make_job(store.now(), "c", unique_key="k")])
        assert answer.id == "b"

    @pytest.mark.parametrize("event", [Released(TOKEN), Failed(TOKEN, error()), CancelRequested()])
    async def test_a_job_that_goes_on_keeps_it(self, store: Store, event: Event) -> None:
        (a,) = await run(store, "a", unique_key="k")
        await tell(store, a, event)
        (answer,) = await store.submit([make_job(store.now(), "c", unique_key="k")])
        assert answer.id == "a"


class TestSeveral:
    async def test_nothing_is_answered_with_nothing(self, store: Store) -> None:
        assert await store.apply([]) == []

    async def test_each_on_its_own_and_answers_in_order(self, store: Store) -> None:
        a, b, c = await run(store, "a", "b", "c")
        await tell(store, b, Succeeded(TOKEN, b"0"))
        gone = make_job(store.now(), "gone")
        events: list[tuple[Any, Event]] = [
            (c, Succeeded(TOKEN, b"1")),
            (gone, CancelRequested()),
            (b, Released(TOKEN)),
            (a, Released(TOKEN)),
        ]
        answers = await store.apply([change(job, event, store.now()) for job, event in events])
        states = [answer.state if not isinstance(answer, Stale) else None for answer in answers]
        assert states == [State.SUCCEEDED, None, State.SUCCEEDED, State.QUEUED]

    async def test_a_second_change_meets_what_the_first_one_wrote(self, store: Store) -> None:
        (job,) = await run(store, "a")
        decided = change(job, Released(TOKEN), store.now())
        cancel = change(job, CancelRequested(), store.now())
        first, again, stale = await store.apply([decided, decided, cancel])
        assert first == again
        assert stale == Stale(await read(store, "a"))

    async def test_more_than_a_batch(self, store: Store) -> None:
        jobs = await submit(store, *(f"{n:03}" for n in range(600)))
        answers = await store.apply([change(job, CancelRequested(), store.now()) for job in jobs])
        assert [answer.id for answer in answers if not isinstance(answer, Stale)] == [job.id for job in jobs]
        assert (await store.counts()).states[State.CANCELLED] == 600

    async def test_large_results(self, store: Store) -> None:
        jobs = await run(store, *"abcdefgh")
        result = b'"%s"' % (b"x" * 200_000)
        await store.apply([change(job, Succeeded(TOKEN, result), store.now()) for job in jobs])
        assert all(job and job.result == result for job in await store.get([*"abcdefgh"]))

    async def test_many_attempts(self, store: Store, clock: ManualClock) -> None:
        (job,) = await run(store, "a")
        for n in range(2, 60):
            await tell(store, job, Released(f"w:{n - 1}"))
            (job,) = await claim(store, n)
        assert [attempt.number for attempt in job.attempts] == [*range(9, 59)]
        assert await store.report([Beat("a", "w:59")]) == [Answer.OK]


async def test_a_job_that_was_retried_does_not_expire_by_a_decision_made_before(
    store: Store, clock: ManualClock
) -> None:
    """Two expirers find the job overdue: the first ends it, somebody retries it, and then the second one comes."""
    await submit(store, "a", start_by=store.now() + 1)
    clock.advance(1)
    (overdue,) = await store.overdue(10)
    late = change(overdue, Overdue(), store.now())
    expired = await tell(store, overdue, Overdue())
    retried = await tell(store, expired, RetryRequested())
    assert await store.apply([late]) == [Stale(retried)]
