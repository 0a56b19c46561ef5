"""When a lapsed lease means that its holder is gone, and when it means that we were away."""

import pytest
from structlog.testing import capture_logs

from async_job.clock import ManualClock
from async_job.errors import StoreUnavailable
from async_job.worker.contact import Contact

LEASE = 15.0


class Time:
    """The store's clock, and our own that nobody sets; they go together until one is set."""

    def __init__(self) -> None:
        self.store = ManualClock()
        self.own = ManualClock(0)

    def elapsed(self) -> float:
        return self.own.now() / 1000

    def advance(self, seconds: float) -> None:
        self.store.advance(seconds)
        self.own.advance(seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def contact(time: Time) -> Contact:
    return Contact(LEASE, time.store.now, time.elapsed)


def pass_time(contact: Contact, time: Time, seconds: int) -> bool:
    """Looks each second, as the rescuer does; whether the contact was steady at any time."""
    steady = False
    for _ in range(seconds):
        steady = contact.steady() or steady
        time.advance(1)
    return steady


def test_it_is_steady_one_lease_after_the_start(contact: Contact, time: Time) -> None:
    assert not pass_time(contact, time, 15)
    assert contact.steady()


def test_a_failure_of_the_store_costs_a_lease(contact: Contact, time: Time) -> None:
    pass_time(contact, time, 20)
    with contact:
        raise StoreUnavailable("away")
    assert not pass_time(contact, time, 15)
    assert contact.steady()


@pytest.mark.parametrize("step", [1.5, -1.5, 3600.0, -3600.0])
def test_a_clock_that_is_set_costs_a_lease(contact: Contact, time: Time, step: float) -> None:
    pass_time(contact, time, 20)
    time.store.advance(step)
    assert not pass_time(contact, time, 15)
    assert contact.steady()


def test_clocks_may_drift_apart_slowly(contact: Contact, time: Time) -> None:
    pass_time(contact, time, 20)
    for _ in range(600):
        time.store.advance(0.03)
        assert contact.steady()
        time.advance(1)


def test_having_been_asleep_costs_a_lease(contact: Contact, time: Time) -> None:
    pass_time(contact, time, 20)
    assert contact.steady()
    time.advance(LEASE + 1)
    assert not pass_time(contact, time, 15)
    assert contact.steady()


def test_a_store_that_goes_and_comes_is_told_of_once_each(contact: Contact) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            with contact:
                raise StoreUnavailable("connection refused")
        for _ in range(3):
            with contact:
                pass
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("warning", "the store does not answer, trying again"),
        ("info", "the store answers again"),
    ]


def test_an_unforeseen_error_ends_no_loop_and_is_told_of(contact: Contact) -> None:
    with capture_logs() as logs, contact:
        raise ZeroDivisionError
    assert [line["log_level"] for line in logs] == ["error"]


def test_an_end_is_let_through(contact: Contact) -> None:
    with pytest.raises(KeyboardInterrupt), contact:
        raise KeyboardInterrupt
