"""`scan`: the jobs of one state, in order, from a place on."""

import pytest

from async_job.clock import ManualClock
from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested, Event, Failed, Overdue, Released, Stopped, Succeeded
from async_job.store.protocol import BATCH, Index, Place, Store
from support.jobs import LEASE, claim, end, error, full_job, make_worker, read, run, submit, tell

DEFAULT = Index(State.QUEUED, "default")
IDS = ["b", "a10", "a", "B", "a\x00", "ä", "☃", "a9", "𝄞", "\uffff"]


async def ids(
    store: Store, index: Index, after: Place | None = None, limit: int = 100, newest: bool = False
) -> list[str]:
    return [job.id for _, job in await store.scan(index, after, limit, newest)]


async def walk(store: Store, index: Index, step: int, newest: bool = False) -> list[tuple[Place, str]]:
    """The whole index, page by page."""
    found: list[tuple[Place, str]] = []
    while page := await store.scan(index, found[-1][0] if found else None, step, newest):
        assert len(page) <= step
        found += [(place, job.id) for place, job in page]
    return found


async def test_an_empty_store(store: Store) -> None:
    for state in State:
        assert await store.scan(Index(state), None, 10) == []
        assert await store.scan(Index(state), None, 10, newest=True) == []
    assert await store.scan(DEFAULT, Place(0, "a"), 10) == []


async def test_the_jobs_are_as_get_has_them(store: Store) -> None:
    await store.submit([full_job(store.now())])
    ((place, job),) = await store.scan(Index(State.QUEUED, "mail"), None, 10)
    assert job == await read(store, "full")
    assert place.id == "full"
    assert await store.scan(Index(State.QUEUED, "mail"), place, 10) == []


async def test_scheduled_ones_by_when_they_are_due(store: Store, clock: ManualClock) -> None:
    await submit(store, "a", delay=3_000)
    await submit(store, "c", delay=1_000, queue="other")
    await submit(store, "b", delay=1_000, priority=-9)
    clock.advance(0.5)
    await submit(store, "d", delay=1_000, priority=9)
    await submit(store, "queued")
    assert await ids(store, Index(State.SCHEDULED)) == ["b", "c", "d", "a"]


async def test_queued_ones_of_one_queue_by_rank(store: Store, clock: ManualClock) -> None:
    await submit(store, "c", "b")
    await submit(store, "low", priority=-1)
    await submit(store, "high", priority=1)
    await submit(store, "other", queue="other")
    clock.advance(0.001)
    await submit(store, "a")
    assert await ids(store, DEFAULT) == ["high", "b", "c", "a", "low"]
    assert await ids(store, Index(State.QUEUED, "other")) == ["other"]
    assert await ids(store, Index(State.QUEUED, "missing")) == []


async def test_running_ones_by_their_start(store: Store, clock: ManualClock) -> None:
    await run(store, "b", "c", worker="w1")
    await run(store, "a", worker="w2", queue="other")
    clock.advance(0.001)
    await run(store, "0", worker="w3")
    assert await ids(store, Index(State.RUNNING)) == ["a", "b", "c", "0"]
    clock.advance(1)
    await tell(store, await read(store, "b"), Released("w1:1"))
    await claim(store, 2, "w1")
    assert await ids(store, Index(State.RUNNING)) == ["a", "c", "0", "b"]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (Succeeded("w:1", b"1"), State.SUCCEEDED),
        (Failed("w:1", error(retryable=False)), State.FAILED),
        (Stopped("w:1"), State.CANCELLED),
    ],
)
async def test_ended_ones_by_their_end(store: Store, clock: ManualClock, event: Event, state: State) -> None:
    a, b, c, d = await run(store, "a", "b", "c", "d")
    await tell(store, c, event)
    await tell(store, b, event)
    clock.advance(0.001)
    await tell(store, a, event)
    assert await ids(store, Index(state)) == ["b", "c", "a"]
    assert await ids(store, Index(State.RUNNING)) == [d.id]
    for other in {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED} - {state}:
        assert await ids(store, Index(other)) == []


async def test_expired_ones(store: Store, clock: ManualClock) -> None:
    for job in reversed(await submit(store, "a", "b", start_by=store.now())):
        await tell(store, job, Overdue())
        clock.advance(0.001)
    assert await ids(store, Index(State.EXPIRED)) == ["b", "a"]
    assert await ids(store, DEFAULT) == []


async def test_at_the_same_time_by_id(store: Store) -> None:
    await submit(store, *IDS)
    assert await ids(store, DEFAULT) == sorted(IDS)
    assert await ids(store, DEFAULT, newest=True) == sorted(IDS, reverse=True)
    assert [id for _, id in await walk(store, DEFAULT, 1)] == sorted(IDS)


@pytest.mark.parametrize("state", [State.SCHEDULED, State.QUEUED, State.RUNNING, State.CANCELLED])
@pytest.mark.parametrize("step", [1, 3, 100])
async def test_page_by_page_and_back_it_is_the_same(store: Store, clock: ManualClock, state: State, step: int) -> None:
    names = [f"{n * 7 % 13:02}" for n in range(13)]
    await store.enroll(make_worker(), LEASE)
    for n, id in enumerate(names, 1):
        await submit(store, id, delay=60_000 if state is State.SCHEDULED else 0)
        if state is State.RUNNING:
            await claim(store, n)
        elif state is State.CANCELLED:
            await tell(store, await read(store, id), CancelRequested())
        clock.advance((n % 3) / 1000)
    index = Index(state, "default" if state is State.QUEUED else "")
    whole = [(place, job.id) for place, job in await store.scan(index, None, BATCH)]
    assert len(whole) == len(names)
    assert [place.id for place, _ in whole] == [id for _, id in whole]
    assert whole == sorted(whole, key=lambda entry: entry[0])
    assert await walk(store, index, step) == whole
    assert await walk(store, index, step, newest=True) == whole[::-1]
    middle = whole[6][0]
    assert await ids(store, index, middle) == [id for _, id in whole[7:]]
    assert await ids(store, index, middle, newest=True) == [id for _, id in whole[:6][::-1]]
    assert await ids(store, index, middle, 2, newest=True) == [id for _, id in whole[4:6][::-1]]
    assert await ids(store, index, whole[-1][0]) == []
    assert await ids(store, index, whole[0][0], newest=True) == []


async def test_not_more_than_the_limit(store: Store) -> None:
    await submit(store, *"abcde")
    assert await ids(store, DEFAULT, limit=2) == ["a", "b"]
    assert await ids(store, DEFAULT, limit=2, newest=True) == ["e", "d"]
    assert await ids(store, DEFAULT, limit=0) == []


async def test_a_place_that_nobody_holds_any_more(store: Store, clock: ManualClock) -> None:
    await submit(store, *"abc")
    found = await store.scan(DEFAULT, None, 10)
    await tell(store, await read(store, "b"), CancelRequested())
    place = found[1][0]
    assert await ids(store, DEFAULT, place) == ["c"]
    assert await ids(store, DEFAULT, place, newest=True) == ["a"]
    (gone,) = await store.scan(Index(State.CANCELLED), None, 10)
    await store.delete(["b"])
    clock.advance(1)
    await end(store, "d")
    assert await ids(store, Index(State.CANCELLED), gone[0]) == ["d"]
    assert await ids(store, Index(State.CANCELLED), gone[0], newest=True) == []


async def test_what_comes_meanwhile_moves_nothing(store: Store) -> None:
    await submit(store, "b", "d")
    ((place, _),) = await store.scan(DEFAULT, None, 1)
    await submit(store, "a", "c", "e")
    assert await ids(store, DEFAULT, place) == ["c", "d", "e"]
    assert await ids(store, DEFAULT, place, newest=True) == ["a"]


async def test_ranks_below_zero(store: Store) -> None:
    for priority in (9, 0, 3, -9):
        await submit(store, f"{priority}", delay=-store.now(), priority=priority)
    assert await ids(store, DEFAULT) == ["9", "3", "0", "-9"]
    assert [id for _, id in await walk(store, DEFAULT, 1)] == ["9", "3", "0", "-9"]
    assert [id for _, id in await walk(store, DEFAULT, 1, newest=True)] == ["-9", "0", "3", "9"]


async def test_more_than_a_batch(store: Store) -> None:
    names = [f"{n:03}" for n in range(600)]
    await submit(store, *names)
    assert len(await store.scan(DEFAULT, None, BATCH)) == BATCH
    assert [id for _, id in await walk(store, DEFAULT, BATCH)] == names
    assert [id for _, id in await walk(store, DEFAULT, BATCH, newest=True)] == names[::-1]
