"""How long to wait before the next attempt."""

from hypothesis import given
from hypothesis import strategies as st

from async_job.core import backoff

PLAIN = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]


def test_it_doubles_up_to_five_minutes_within_a_fifth() -> None:
    for failures, plain in enumerate(PLAIN, 1):
        waits = [backoff.delay(f"job-{n}", failures, failures) for n in range(500)]
        assert plain * 0.8 <= min(waits) < plain * 0.85
        assert plain * 1.15 < max(waits) <= plain * 1.2
        assert plain * 0.98 < sum(waits) / len(waits) < plain * 1.02


def test_the_same_question_has_the_same_answer() -> None:
    # Worked out by hand: crc32("a/1") is 0xF5964052, 0.95932 of the way from 800 to 1200.
    assert backoff.delay("a", 1, 1) == 1_184
    assert len({backoff.delay("a", attempt, 1) for attempt in range(1, 100)}) > 50
    assert len({backoff.delay(f"{n}", 1, 1) for n in range(100)}) > 50


@given(st.text(), st.integers(1, 10**9), st.integers(1, 10**9))
def test_any_question_has_an_answer(id: str, attempt: int, failures: int) -> None:
    wait = backoff.delay(id, attempt, failures)
    assert isinstance(wait, int)
    assert 800 <= wait <= 360_000
