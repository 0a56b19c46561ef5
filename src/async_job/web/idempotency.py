"""``Idempotency-Key``: the same request, sent again, makes no second job."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from starlette.types import Scope

from async_job.store.protocol import IdempotencyKey
from async_job.web.caller import key_of
from async_job.web.problems import Problem

KEPT: Final = 24 * 3_600_000
"""Milliseconds."""
KEY: Final = re.compile(rb'"([\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e][\x21-\x7e]{0,254})')
REPLAYED: Final = (b"idempotency-replayed", b"true")


def idempotency_key(scope: Scope, given: bytes, route: str, body: bytes, now: int) -> IdempotencyKey:
    """The key that the header gives, scoped to its caller and to the route. Its fingerprint is of the method, the path
    and the body."""
    found = KEY.fullmatch(given.strip())
    if found is None:
        detail = "Idempotency-Key has to be 1 to 255 visible ASCII characters, bare or in double quotes"
        raise Problem(400, "invalid_idempotency_key", detail)
    name = (found[1] or found[2]).decode("ascii")
    method: str = scope["method"]
    path: str = scope["path"]
    told = b"\0".join((method.encode(), path.encode("utf-8", "surrogateescape"), body))
    return IdempotencyKey(f"{key_of(scope) or ''} {route} {name}", sha256(told).hexdigest(), now + KEPT)


def no_longer_kept(id: str) -> Problem:
    """The problem of a repeated request whose job is gone."""
    return Problem(410, "job_gone", f"this request made job {id}, which is no longer kept", job=id)
