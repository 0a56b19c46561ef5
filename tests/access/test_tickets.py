"""Tickets for streams, in each store."""

import asyncio

import pytest

from async_job.access.tickets import LIFE, SWEEP, Tickets, key_of
from async_job.clock import ManualClock
from async_job.store.protocol import Store

JOB = "0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10"
OTHER = "0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a11"


async def test_a_ticket_is_good_once(store: Store) -> None:
    text, expires_at = await Tickets().issue(store, JOB, "0123456789")
    assert expires_at == store.now() + 300_000
    assert key_of(text) == "0123456789"
    assert await Tickets().spend(store, text, JOB) is True
    assert await Tickets().spend(store, text, JOB) is False


async def test_of_many_who_use_it_at_once_one_gets_in(store: Store) -> None:
    text, _ = await Tickets().issue(store, JOB, None)
    spent = await asyncio.gather(*(Tickets().spend(store, text, JOB) for _ in range(10)))
    assert sorted(spent) == [False] * 9 + [True]


async def test_a_ticket_is_good_for_its_job_alone(store: Store) -> None:
    text, _ = await Tickets().issue(store, JOB, None)
    assert await Tickets().spend(store, text, OTHER) is False
    assert await Tickets().spend(store, text, JOB) is True


async def test_a_ticket_lives_five_minutes(store: Store, clock: ManualClock) -> None:
    first, _ = await Tickets().issue(store, JOB, None)
    second, _ = await Tickets().issue(store, JOB, None)
    clock.advance(LIFE / 1000 - 0.001)
    assert await Tickets().spend(store, first, JOB) is True
    clock.advance(0.001)
    assert await Tickets().spend(store, second, JOB) is False


async def test_no_part_of_a_ticket_can_be_changed(store: Store, clock: ManualClock) -> None:
    text, expires_at = await Tickets().issue(store, JOB, "0123456789")
    for forged in (
        text.replace(str(expires_at), str(expires_at + 1)),
        text.replace("0123456789", "0123456780"),
        text[:-1] + ("a" if text[-1] != "a" else "b"),
        text + "a",
        "",
    ):
        assert await Tickets().spend(store, forged, JOB) is False


async def test_the_store_does_not_know_the_tickets(store: Store) -> None:
    text, _ = await Tickets().issue(store, JOB, None)
    [id] = await store.administration.documents("ticket")
    assert text.rpartition("_")[2] not in id


async def test_tickets_that_nobody_used_are_removed(store: Store, clock: ManualClock) -> None:
    tickets = Tickets()
    await tickets.issue(store, JOB, None)
    clock.advance(LIFE / 1000)
    await tickets.issue(store, JOB, None)
    assert len(await store.administration.documents("ticket")) == 1
    clock.advance(SWEEP / 1000)
    await tickets.issue(store, JOB, None)
    assert len(await store.administration.documents("ticket")) == 2


@pytest.mark.parametrize("text", ["", "ajt_", "aj_0123456789_" + "x" * 43])
def test_what_is_no_ticket_has_no_key(text: str) -> None:
    assert key_of(text) is None
