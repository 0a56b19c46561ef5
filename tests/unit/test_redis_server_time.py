"""The server's time between its answers: never ahead of the server, whatever the trips take."""

from async_job.clock import ManualClock
from async_job.store.redis.server_time import ServerTime, elapsed

HOUR = 3_600_000


def latest(server: int, asked: float) -> float:
    """What the server's clock can show at most, when it gave this time after it was asked."""
    return server + (elapsed() - asked) * 1000


def test_it_goes_on_from_the_servers_and_is_never_ahead() -> None:
    time, asked = ServerTime(None), elapsed()
    time.seen(HOUR, asked)
    for _ in range(10_000):
        assert HOUR - 1 <= time.now() <= latest(HOUR, asked)


def test_a_slow_answer_does_not_set_it_back() -> None:
    time = ServerTime(None)
    time.seen(HOUR, elapsed())
    # This one left the server an unknown part of ten seconds ago.
    time.seen(HOUR - 4_000, elapsed() - 10)
    assert time.now() >= HOUR - 1


def test_an_answer_that_is_ahead_sets_it() -> None:
    time = ServerTime(None)
    time.seen(HOUR, elapsed())
    time.seen(2 * HOUR, elapsed())
    assert time.now() >= 2 * HOUR - 1


def test_a_server_whose_clock_was_set_back_is_followed() -> None:
    time = ServerTime(None)
    time.seen(2 * HOUR, elapsed())
    asked = elapsed()
    time.seen(HOUR, asked)
    assert time.now() <= latest(HOUR, asked)


def test_a_tests_clock_is_the_time_and_is_sent() -> None:
    clock = ManualClock(5)
    time = ServerTime(clock)
    time.seen(HOUR, elapsed())
    clock.advance(1)
    assert (time.now(), time.given()) == (1005, 1005)
    assert ServerTime(None).given() is None
