"""Secrets and signatures of Standard Webhooks: HMAC-SHA256 over the id, the time and the body of a message."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from async_job.errors import InvalidOptions

PREFIX: Final = "whsec_"
NEW: Final = 32
SIZES: Final = range(24, 65)
"""How many bytes a secret may have; the standard says so."""

Headers = list[tuple[bytes, bytes]]


def new_secret() -> str:
    return secret_of(secrets.token_bytes(NEW))


def secret_of(key: bytes) -> str:
    """The key as receivers are given it."""
    return PREFIX + base64.b64encode(key).decode()


def key_of(secret: str) -> bytes:
    """The bytes that are signed with. Raises ``InvalidOptions`` when that is no secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in SIZES:
        says = f"a secret is {PREFIX} and {SIZES[0]} to {SIZES[-1]} bytes in base64"
        raise InvalidOptions(f"{says}; leave it out to have one made", "secret")
    return key


def signed(id: str, now: int, body: bytes, given: Sequence[str]) -> Headers:
    """The headers that let a receiver who has one of these secrets verify the body. ``now``: milliseconds."""
    timestamp = b"%d" % (now // 1000)
    content = b"%b.%b.%b" % (id.encode(), timestamp, body)
    signatures = (hmac.digest(key_of(secret), content, hashlib.sha256) for secret in given)
    signature = b" ".join(b"v1," + base64.b64encode(one) for one in signatures)
    return [(b"webhook-id", id.encode()), (b"webhook-timestamp", timestamp), (b"webhook-signature", signature)]
