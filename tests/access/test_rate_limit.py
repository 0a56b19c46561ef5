"""How many requests a key may send."""

import pytest

from async_job.access.keys import ApiKey
from async_job.access.rate_limit import Allowance, RateLimiter
from async_job.clock import ManualClock


def make_key(rate: int | None, id: str = "a") -> ApiKey:
    return ApiKey(id=id, name="ci", hash="", scopes=("read",), created_at=0, rate=rate)


def take(limiter: RateLimiter, key: ApiKey, clock: ManualClock) -> Allowance:
    allowance = limiter.take(key, clock.now())
    assert allowance is not None
    return allowance


def test_a_key_without_a_rate_has_no_limit() -> None:
    assert RateLimiter().take(make_key(None), 0) is None


@pytest.mark.parametrize("rate", [1, 2, 60, 1000])
def test_a_minutes_requests_may_come_at_once_and_then_as_time_passes(rate: int) -> None:
    clock, limiter, key = ManualClock(), RateLimiter(), make_key(rate)
    assert all(take(limiter, key, clock).granted for _ in range(rate))
    refused = take(limiter, key, clock)
    assert (refused.granted, refused.left) == (False, 0)
    clock.advance(refused.pause)
    assert take(limiter, key, clock).granted
    clock.advance(60)
    assert sum(take(limiter, key, clock).granted for _ in range(2 * rate)) == rate


def test_the_pause_is_not_longer_than_it_has_to_be() -> None:
    clock, limiter, key = ManualClock(), RateLimiter(), make_key(6)
    for _ in range(6):
        take(limiter, key, clock)
    clock.advance(3)
    assert take(limiter, key, clock).pause == 7
    clock.advance(6)
    assert take(limiter, key, clock).pause == 1
    clock.advance(1)
    assert take(limiter, key, clock).granted


def test_refused_requests_cost_nothing() -> None:
    clock, limiter, key = ManualClock(), RateLimiter(), make_key(60)
    for _ in range(600):
        take(limiter, key, clock)
    clock.advance(1)
    assert take(limiter, key, clock).granted


def test_keys_do_not_share() -> None:
    clock, limiter = ManualClock(), RateLimiter()
    assert take(limiter, make_key(1, "a"), clock).granted
    assert take(limiter, make_key(1, "b"), clock).granted
    assert not take(limiter, make_key(1, "a"), clock).granted


def test_a_clock_that_was_set_back_gives_nothing() -> None:
    clock, limiter, key = ManualClock(), RateLimiter(), make_key(1)
    take(limiter, key, clock)
    clock.advance(-3600)
    assert not take(limiter, key, clock).granted
    clock.advance(60)
    assert take(limiter, key, clock).granted


def test_what_the_headers_say() -> None:
    clock, limiter, key = ManualClock(), RateLimiter(), make_key(30)
    allowance = [take(limiter, key, clock) for _ in range(10)][-1]
    assert allowance.policy == b'"key";q=30;w=60'
    assert allowance.state == b'"key";r=20;t=20'
