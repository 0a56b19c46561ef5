"""API keys: what the store keeps of them, and how they are made, found and revoked.

A key is ``aj_<id>_<secret>``. The store keeps its SHA-256, which is enough: the secret is 32 random bytes, so nobody
guesses what leads to a hash. A revoked key is kept as revoked, so that its name can still be read beside its jobs,
and so that a server whose last key is revoked stays closed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from string import ascii_letters, ascii_lowercase, digits
from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from async_job.core.submission import check_name
from async_job.errors import ApiKeyNotFound, InvalidOptions
from async_job.store.protocol import Store

KIND: Final = "key"
"""The kind of their documents in the store."""
BASE62: Final = digits + ascii_letters
ID_LENGTH: Final = 10
SECRET_LENGTH: Final = 43
"""So many digits of base 62 hold 32 bytes."""
TEXT: Final = re.compile(rf"aj_([0-9a-z]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}")
SHOWN: Final = 4
MOST_A_MINUTE: Final = 1_000_000

AccessScope = Literal["create", "read", "manage", "admin", "metrics", "webhook"]
SCOPES: Final[tuple[AccessScope, ...]] = get_args(AccessScope)


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as it is stored. Jobs that it makes have its ``id`` as their owner.

    ``rate`` is how many requests a minute it may send (``None``: any number), ``hint`` the last characters of its
    text, by which people tell keys apart.
    """

    id: str
    name: str
    hash: str
    scopes: tuple[AccessScope, ...]
    created_at: int
    rate: int | None = None
    hint: str = ""
    revoked_at: int | None = None

    def may(self, needed: AccessScope) -> bool:
        """Whether it has the scope; ``admin`` has all of them."""
        return needed in self.scopes or "admin" in self.scopes

    def fits(self, text: str) -> bool:
        """Whether ``text`` is this key. Takes as long for any other text."""
        return compare_digest(hash_of(text), self.hash)


_decode = msgspec.json.Decoder(ApiKey).decode


class Keys:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, name: str, scopes: Iterable[str], rate: int | None = None) -> tuple[ApiKey, str]:
        """The new key and its text, which is not kept.

        Raises:
            InvalidOptions: one of them cannot be.
        """
        check_name("name", name)
        checked = check_scopes(scopes)
        if rate is not None and not 1 <= rate <= MOST_A_MINUTE:
            raise InvalidOptions(f"rate must be from 1 to {MOST_A_MINUTE} requests a minute, not {rate}", "rate")
        id = "".join(secrets.choice(digits + ascii_lowercase) for _ in range(ID_LENGTH))
        text = f"aj_{id}_{new_secret()}"
        key = ApiKey(
            id=id,
            name=name,
            hash=hash_of(text),
            scopes=checked,
            created_at=self._store.now(),
            rate=rate,
            hint=text[-SHOWN:],
        )
        await self._put(key)
        return key, text

    async def all(self) -> list[ApiKey]:
        """The oldest first, with those that were revoked."""
        found = await self._store.administration.documents(KIND)
        return sorted(map(_decode, found.values()), key=lambda key: (key.created_at, key.id))

    async def revoke(self, id: str) -> ApiKey:
        """The key as revoked; again: the same. Raises ``ApiKeyNotFound``."""
        found = (await self._store.administration.documents(KIND)).get(id)
        if found is None:
            raise ApiKeyNotFound(id)
        key = _decode(found)
        if key.revoked_at is None:
            key = replace(key, revoked_at=self._store.now())
            await self._put(key)
        return key

    async def _put(self, key: ApiKey) -> None:
        await self._store.administration.put_document(KIND, key.id, msgspec.json.encode(key))


def check_scopes(given: Iterable[str]) -> tuple[AccessScope, ...]:
    """The scopes, in their usual order and each once. Raises ``InvalidOptions``."""
    wanted = set(given)
    unknown = wanted.difference(SCOPES)
    if unknown or not wanted:
        says = f"{min(unknown)!r} is none" if unknown else "a key needs at least one"
        raise InvalidOptions(f"scopes: {says}; there are {', '.join(SCOPES)}", "scopes")
    return tuple(scope for scope in SCOPES if scope in wanted)


def id_of(text: str) -> str | None:
    """The id of the key that this would be; ``None``: it does not look like one."""
    found = TEXT.fullmatch(text)
    return None if found is None else found[1]


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def new_secret() -> str:
    """32 random bytes in base 62, always of the same length."""
    number = int.from_bytes(secrets.token_bytes(32))
    written = []
    for _ in range(SECRET_LENGTH):
        number, digit = divmod(number, len(BASE62))
        written.append(BASE62[digit])
    return "".join(written)
