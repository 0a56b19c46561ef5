"""API keys in each store, and how a server comes to know them."""

import asyncio
import json
import re
from collections.abc import Callable

import pytest

from async_job.access import keys as keys_module
from async_job.access.key_ring import FRESH, STALE, KeyRing
from async_job.access.keys import SCOPES, Keys, check_scopes, hash_of, id_of, new_secret
from async_job.clock import ManualClock
from async_job.errors import ApiKeyNotFound, InvalidOptions, StoreUnavailable
from async_job.store.protocol import Store
from async_job.store.redis.store import RedisStore
from support.servers import Server


async def test_a_key_is_told_once_and_kept_as_a_hash(store: Store) -> None:
    key, text = await Keys(store).create("ci", ["read", "create"], 60)
    assert re.fullmatch(rf"aj_{key.id}_[0-9A-Za-z]{{43}}", text)
    assert (key.name, key.scopes, key.rate, key.created_at) == ("ci", ("create", "read"), 60, store.now())
    assert text.endswith(key.hint)
    assert len(key.hint) == 4
    assert key.hash == hash_of(text)
    assert await Keys(store).all() == [key]
    [document] = (await store.administration.documents("key")).values()
    assert text.rpartition("_")[2] not in document.decode()
    assert json.loads(document)["hash"] == key.hash


async def test_keys_are_listed_by_age(store: Store, clock: ManualClock) -> None:
    made = []
    for name in "cab":
        made.append((await Keys(store).create(name, ["read"]))[0])
        clock.advance(1)
    assert await Keys(store).all() == made


async def test_a_revoked_key_is_kept_as_revoked(store: Store, clock: ManualClock) -> None:
    key, _ = await Keys(store).create("ci", ["read"])
    clock.advance(5)
    revoked = await Keys(store).revoke(key.id)
    assert revoked.revoked_at == clock.now()
    clock.advance(5)
    assert await Keys(store).revoke(key.id) == revoked
    assert await Keys(store).all() == [revoked]
    with pytest.raises(ApiKeyNotFound):
        await Keys(store).revoke("nobody")


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 65])
async def test_names(store: Store, name: str) -> None:
    with pytest.raises(InvalidOptions, match="name"):
        await Keys(store).create(name, ["read"])


@pytest.mark.parametrize("rate", [0, -1, 1_000_001])
async def test_rates(store: Store, rate: int) -> None:
    with pytest.raises(InvalidOptions, match="rate"):
        await Keys(store).create("ci", ["read"], rate)
    assert await Keys(store).all() == []


def test_scopes_are_known_ones() -> None:
    assert check_scopes(reversed(SCOPES)) == SCOPES
    assert check_scopes(["read", "read"]) == ("read",)
    for wrong in ([], ["write"], ["read", ""]):
        with pytest.raises(InvalidOptions, match="create, read, manage, admin, metrics, webhook"):
            check_scopes(wrong)


def test_secrets_have_32_random_bytes() -> None:
    secrets = [new_secret() for _ in range(1_000)]
    assert len(set(secrets)) == 1_000
    assert {len(secret) for secret in secrets} == {43}
    assert 62**43 > 2**256
    # All digits occur, and the leading ones, which are worth the most, in what 32 bytes leave for them.
    assert len({digit for secret in secrets for digit in secret}) == 62


@pytest.mark.parametrize(
    "text", ["", "aj_", "aj_0123456789_", "aj_0123456789_" + "x" * 42, "AJ_0123456789_" + "x" * 43]
)
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert id_of(text) is None
    assert KeyRing().find(text) is None


async def test_texts_are_compared_in_constant_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[object, object]] = []
    original = keys_module.compare_digest

    def compare(left: str, right: str) -> bool:
        compared.append((left, right))
        return original(left, right)

    monkeypatch.setattr(keys_module, "compare_digest", compare)
    key, text = await Keys(store).create("ci", ["read"])
    other = text[:-1] + ("a" if text[-1] != "a" else "b")
    ring = KeyRing()
    await ring.refresh(store)
    assert ring.find(other) is None
    assert ring.find(text) == key
    assert compared == [(hash_of(other), key.hash), (hash_of(text), key.hash)]


async def test_a_server_hears_of_a_revocation_within_five_seconds(store: Store, clock: ManualClock) -> None:
    ring = KeyRing()
    await ring.refresh(store)
    assert (ring.in_use, ring.was_used) == (False, False)
    key, text = await Keys(store).create("ci", ["read"])
    clock.advance(STALE / 1000)
    await ring.refresh(store)
    assert ring.find(text) == key
    assert (ring.in_use, ring.was_used) == (True, True)
    await Keys(store).revoke(key.id)
    clock.advance(STALE / 1000)
    await ring.refresh(store)
    assert ring.find(text) is None
    assert (ring.in_use, ring.was_used) == (False, True)
    assert STALE < 5_000


async def test_a_busy_server_reads_keys_on_the_side(store: Store, clock: ManualClock) -> None:
    key, text = await Keys(store).create("ci", ["read"])
    ring = KeyRing()
    await ring.refresh(store)
    await Keys(store).revoke(key.id)
    clock.advance(FRESH / 1000 - 0.001)
    await ring.refresh(store)
    clock.advance(0.001)
    before = asyncio.all_tasks()
    await ring.refresh(store)
    assert ring.find(text) is not None
    [reading] = asyncio.all_tasks() - before
    await reading
    assert ring.find(text) is None


async def test_a_clock_that_was_set_back_makes_known_keys_old(store: Store, clock: ManualClock) -> None:
    ring = KeyRing()
    await ring.refresh(store)
    await Keys(store).create("ci", ["read"])
    clock.advance(-60)
    await ring.refresh(store)
    assert ring.in_use


@pytest.mark.store("redis")
@pytest.mark.realtime
async def test_nobody_is_let_in_by_keys_that_cannot_be_read_anew(
    make_server: Callable[..., Server], clock: ManualClock
) -> None:
    server = make_server(appendonly=True, appendfsync="always")
    store = RedisStore(server.url, clock=clock)
    await store.open()
    key, text = await Keys(store).create("ci", ["read"])
    ring = KeyRing()
    await ring.refresh(store)
    server.kill()
    clock.advance(FRESH / 1000)
    before = asyncio.all_tasks()
    await ring.refresh(store)
    await asyncio.wait(asyncio.all_tasks() - before)
    assert ring.find(text) == key
    clock.advance((STALE - FRESH) / 1000)
    with pytest.raises(StoreUnavailable):
        await ring.refresh(store)
    server.restart()
    await ring.refresh(store)
    assert ring.find(text) == key
    await store.close()
