"""`administration.documents`, `put_document` and `delete_document`: small things that an administrator writes."""

import pytest

from async_job.store.protocol import Store
from support.stores import OpenStore

VALUES = [b"", b"\x00", bytes(range(256)), b'{"a":1}', "ä☃".encode(), b"x" * 100_000]


async def test_none(store: Store) -> None:
    assert await store.administration.documents("key") == {}
    assert await store.administration.delete_document("key", "a") is False


@pytest.mark.parametrize("value", VALUES, ids=len)
async def test_as_they_were_written(store: Store, open_store: OpenStore, value: bytes) -> None:
    await store.administration.put_document("key", "a", value)
    assert await store.administration.documents("key") == {"a": value}
    assert await (await open_store()).administration.documents("key") == {"a": value}


async def test_written_anew(store: Store) -> None:
    await store.administration.put_document("key", "a", b"1")
    await store.administration.put_document("key", "b", b"2")
    await store.administration.put_document("key", "a", b"3")
    assert await store.administration.documents("key") == {"a": b"3", "b": b"2"}


async def test_kinds_are_apart(store: Store) -> None:
    await store.administration.put_document("key", "a", b"1")
    await store.administration.put_document("endpoint", "a", b"2")
    assert await store.administration.documents("key") == {"a": b"1"}
    assert await store.administration.documents("Key") == {}
    assert await store.administration.delete_document("endpoint", "a") is True
    assert await store.administration.documents("key") == {"a": b"1"}
    assert await store.administration.documents("endpoint") == {}


async def test_removed_once(store: Store) -> None:
    await store.administration.put_document("key", "a", b"1")
    await store.administration.put_document("key", "b", b"2")
    assert await store.administration.delete_document("key", "a") is True
    assert await store.administration.delete_document("key", "a") is False
    assert await store.administration.documents("key") == {"b": b"2"}


async def test_odd_ids(store: Store) -> None:
    ids = ["", "a", "A", "ä", "a\x00", "a\n", "{a}", "*", "a:b", "x" * 500]
    for n, id in enumerate(ids):
        await store.administration.put_document("k:ä", id, b"%d" % n)
    assert await store.administration.documents("k:ä") == {id: b"%d" % n for n, id in enumerate(ids)}
