"""Group commit: who arrives while a write is in flight shares the next one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from async_job.errors import StoreBroken, StoreFull, StoreUnavailable
from async_job.store.group_commit import ITEM_BYTES, MANY, GroupCommit, Request


def echo(group: Sequence[Request]) -> None:
    for request in group:
        request.answer(request.argument)


class Gate:
    """An ``execute`` that notes its groups, and holds each until it is let through."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.groups: list[list[object]] = []
        self.in_flight = 0
        self.open = asyncio.Event()
        self.answer: Callable[[Sequence[Request]], None] = echo

    async def __call__(self, group: Sequence[Request]) -> None:
        self.in_flight += 1
        assert self.in_flight <= self.most, f"{self.in_flight} groups are in flight"
        try:
            self.groups.append([request.argument for request in group])
            await self.open.wait()
            self.answer(group)
        finally:
            self.in_flight -= 1


async def settled() -> None:
    """Lets every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def calls(commit: GroupCommit, *arguments: object, items: int = 1) -> list[asyncio.Task[object]]:
    return [asyncio.ensure_future(commit.call("m", argument, items)) for argument in arguments]


async def test_an_idle_store_is_asked_at_once() -> None:
    gate = Gate()
    gate.open.set()
    commit = GroupCommit(gate)
    assert [await commit.call("m", n) for n in range(3)] == [0, 1, 2]
    assert gate.groups == [[0], [1], [2]]


async def test_who_arrives_in_flight_shares_the_next_group_in_order() -> None:
    gate = Gate()
    commit = GroupCommit(gate)
    first = calls(commit, "a")
    await settled()
    later = calls(commit, *"bcd")
    await settled()
    assert gate.groups == [["a"]]
    gate.open.set()
    assert await asyncio.gather(*first, *later) == ["a", "b", "c", "d"]
    assert gate.groups == [["a"], ["b", "c", "d"]]


async def test_a_request_bears_its_method_and_argument() -> None:
    seen: list[tuple[str, object, int]] = []

    async def execute(group: Sequence[Request]) -> None:
        for request in group:
            seen.append((request.method, request.argument, request.items))
            request.answer(None)

    await GroupCommit(execute).call("submit", ["x"], 7)
    assert seen == [("submit", ["x"], 7)]


@pytest.mark.parametrize(
    ("items", "groups"),
    [
        ([4, 3, 3, 1], [[4, 3, 3], [1]]),
        ([9, 2], [[9], [2]]),
        ([5, 50, 5, 5], [[5], [50], [5, 5]]),
        ([50], [[50]]),
        ([1] * 25, [[1] * 10, [1] * 10, [1] * 5]),
    ],
)
async def test_a_group_has_a_most(items: list[int], groups: list[list[int]]) -> None:
    gate = Gate()
    gate.open.set()
    commit = GroupCommit(gate, most_items=10)
    await asyncio.gather(*(commit.call("m", count, count) for count in items))
    assert gate.groups == groups


async def test_a_cancelled_caller_stops_waiting_and_its_request_goes_on() -> None:
    gate = Gate()
    commit = GroupCommit(gate)
    in_flight = calls(commit, "a")
    await settled()
    waiting, other = calls(commit, "b", "c")
    await settled()
    in_flight[0].cancel()
    waiting.cancel()
    await settled()
    assert in_flight[0].cancelled()
    assert waiting.cancelled()
    gate.open.set()
    assert await other == "c"
    assert gate.groups == [["a"], ["b", "c"]]


async def test_a_failure_is_of_its_group_only() -> None:
    gate = Gate()
    commit = GroupCommit(gate)

    def fail(group: Sequence[Request]) -> None:
        gate.answer = echo
        raise StoreFull("full")

    gate.answer = fail
    first = calls(commit, "a", "b")
    await settled()
    second = calls(commit, "c")
    gate.open.set()
    for task in first:
        with pytest.raises(StoreFull):
            await task
    assert await second[0] == "c"


async def test_what_was_answered_before_a_failure_stays_answered() -> None:
    async def execute(group: Sequence[Request]) -> None:
        group[0].answer("done")
        group[1].fail(StoreFull("only this one"))
        raise StoreUnavailable("gone")

    tasks = calls(GroupCommit(execute), *"abc")
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[0] == "done"
    assert [type(answer) for answer in answers[1:]] == [StoreFull, StoreUnavailable]


async def test_an_unforeseen_failure_is_a_broken_store_with_its_cause() -> None:
    async def execute(group: Sequence[Request]) -> None:
        raise ZeroDivisionError("oops")

    commit = GroupCommit(execute)
    for _ in range(2):
        with pytest.raises(StoreBroken, match="oops") as raised:
            await commit.call("m", 1)
        assert isinstance(raised.value.__cause__, ZeroDivisionError)


async def test_what_is_left_open_fails() -> None:
    async def execute(group: Sequence[Request]) -> None:
        group[0].answer(1)

    first, second = calls(GroupCommit(execute), *"ab")
    assert await first == 1
    with pytest.raises(StoreUnavailable):
        await second


async def test_close_lets_through_what_waits_and_refuses_what_comes() -> None:
    gate = Gate()
    commit = GroupCommit(gate)
    first = calls(commit, "a")
    await settled()
    second = calls(commit, "b")
    await settled()
    closing = asyncio.ensure_future(commit.close())
    await settled()
    with pytest.raises(StoreUnavailable, match="closed"):
        await commit.call("m", "c")
    assert not closing.done()
    gate.open.set()
    await closing
    assert [task.result() for task in (*first, *second)] == ["a", "b"]
    await commit.close()
    assert gate.groups == [["a"], ["b"]]


async def test_two_groups_in_flight_and_who_arrives_then_shares_the_third() -> None:
    gate = Gate(most=2)
    commit = GroupCommit(gate, in_flight=2)
    tasks = []
    for arrivals in ("a", "bc", "d", "e"):
        tasks += calls(commit, *arrivals)
        await settled()
    assert gate.groups == [["a"], ["b", "c"]]
    gate.open.set()
    assert await asyncio.gather(*tasks) == list("abcde")
    assert gate.groups == [["a"], ["b", "c"], ["d", "e"]]


async def test_who_calls_in_one_turn_shares_a_group_however_many_may_be_in_flight() -> None:
    gate = Gate(most=2)
    gate.open.set()
    commit = GroupCommit(gate, in_flight=2)
    for _ in range(3):
        await asyncio.gather(*calls(commit, *"abc"))
    assert gate.groups == [["a", "b", "c"]] * 3


@pytest.mark.parametrize(
    ("in_flight", "callers", "groups"),
    [(2, MANY - 1, [MANY - 1]), (2, MANY, [MANY // 2, MANY // 2]), (2, 101, [50, 51]), (1, 101, [101])],
)
async def test_many_callers_go_in_two_halves_where_two_may_be_in_flight(
    in_flight: int, callers: int, groups: list[int]
) -> None:
    gate = Gate(most=2)
    commit = GroupCommit(gate, in_flight=in_flight)
    tasks = calls(commit, *map(str, range(callers)))
    await settled()
    assert list(map(len, gate.groups)) == groups
    # With another one in flight there is nothing to gain: all who wait go together.
    tasks += calls(commit, *map(str, range(callers, 2 * callers)))
    await settled()
    gate.open.set()
    assert await asyncio.gather(*tasks) == list(map(str, range(2 * callers)))
    assert [name for group in gate.groups for name in group] == list(map(str, range(2 * callers)))


async def test_close_waits_for_all_that_is_in_flight() -> None:
    gate = Gate(most=2)
    commit = GroupCommit(gate, in_flight=2)
    tasks = []
    for arrival in "abc":
        tasks += calls(commit, arrival)
        await settled()
    closing = asyncio.ensure_future(commit.close())
    await settled()
    assert not closing.done()
    gate.open.set()
    await closing
    assert [task.result() for task in tasks] == list("abc")


async def test_a_cancelled_writer_leaves_those_who_wait_to_the_other() -> None:
    gate = Gate(most=2)
    commit = GroupCommit(gate, in_flight=2)
    [first] = calls(commit, "a")
    await settled()
    (writer,) = asyncio.all_tasks() - {asyncio.current_task(), first}
    [second] = calls(commit, "b")
    await settled()
    [third] = calls(commit, "c")
    await settled()
    writer.cancel()
    with pytest.raises(StoreUnavailable):
        await first
    gate.open.set()
    assert [await second, await third] == ["b", "c"]


async def test_closing_an_idle_one_returns_at_once() -> None:
    await GroupCommit(Gate()).close()


async def test_a_cancelled_writer_leaves_nobody_waiting() -> None:
    """The loop ends: its tasks are cancelled, and every caller hears of it."""
    gate = Gate()
    commit = GroupCommit(gate)
    in_flight = calls(commit, "a")
    await settled()
    waiting = calls(commit, "b")
    await settled()
    (writer,) = asyncio.all_tasks() - {asyncio.current_task(), *in_flight, *waiting}
    writer.cancel()
    for task in (*in_flight, *waiting):
        with pytest.raises(StoreUnavailable):
            await task
    gate.open.set()
    assert await commit.call("m", "c") == "c"


async def test_groups_grow_with_the_load() -> None:
    """Callers that come again as soon as they are answered end up in groups, without any timer."""
    gate = Gate()
    gate.open.set()
    commit = GroupCommit(gate)

    async def caller(name: int) -> None:
        for n in range(20):
            assert await commit.call("m", (name, n)) == (name, n)

    await asyncio.gather(*(caller(name) for name in range(50)))
    assert sum(map(len, gate.groups)) == 1_000
    assert len(gate.groups) <= 100


async def test_many_items_of_a_call_go_in_batches_two_at_a_time() -> None:
    gate = Gate(most=2)
    commit = GroupCommit(gate, most_items=10, in_flight=2)
    answers = asyncio.ensure_future(commit.call_each("m", list(range(25))))
    await settled()
    assert gate.groups == [[list(range(10))], [list(range(10, 20))]]
    gate.open.set()
    assert await answers == list(range(25))
    assert gate.groups[2:] == [[list(range(20, 25))]]


async def test_a_batch_that_fails_fails_the_call() -> None:
    async def execute(group: Sequence[Request]) -> None:
        for request in group:
            if 7 in request.argument:
                request.fail(StoreFull("no room"))
            else:
                request.answer(request.argument)

    commit = GroupCommit(execute, most_items=5)
    assert await commit.call_each("m", []) == []
    assert await commit.call_each("m", [1, 2]) == [1, 2]
    with pytest.raises(StoreFull, match="no room"):
        await commit.call_each("m", list(range(12)))


async def test_each_batch_is_weighed_by_its_own_contents() -> None:
    gate = Gate()
    gate.open.set()
    commit = GroupCommit(gate, most_items=4)
    large = [bytes(9 * ITEM_BYTES), b"", b"", b"", b"", b"", b""]
    light = [b""] * 2
    asked = [commit.call_each("m", list("abcdefg"), large), commit.call_each("m", list("hi"), light)]
    assert await asyncio.gather(*asked) == [list("abcdefg"), list("hi")]
    assert gate.groups == [[list("abcd")], [list("efg")], [list("hi")]]
