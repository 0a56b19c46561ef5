"""Lets requests in by their API key or ticket, and notes in the scope who sends them.

Without any key the server is open, but to this machine alone. The first key closes it, and it stays closed when the
last one is revoked; ``allow_open`` opens it again, and to everybody.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs

from starlette.types import Scope

from async_job.access import tickets
from async_job.access.key_ring import KeyRing
from async_job.access.keys import AccessScope, ApiKey
from async_job.access.rate_limit import RateLimiter
from async_job.access.tickets import Tickets
from async_job.jobs import Jobs
from async_job.settings import is_loopback
from async_job.store.protocol import Store
from async_job.web import guard
from async_job.web.caller import key_of, note_key, note_limit
from async_job.web.problems import Problem, retry_after
from async_job.web.request import header, path_guid

LIVENESS: Final = "/healthz"
BEARER: Final = re.compile(rb"bearer +(\S+)", re.IGNORECASE)


class Gate:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._ring = KeyRing()
        self._limiter = RateLimiter()
        self._tickets = Tickets()

    async def check_host(self, scope: Scope) -> None:
        """Raises a problem for a name that a page may have made lead here. It does no harm where keys are asked for,
        which a browser does not send by itself. Whether they are is in the store, and `/healthz`, which tells nothing,
        has to be answered without one."""
        if self._jobs.settings.allow_open or guard.is_own_name(scope) or _is_liveness(scope):
            return
        await self._ring.refresh(await self._jobs.store())
        if not self._ring.in_use:
            raise guard.not_own_name(scope)

    async def admit(self, scope: Scope, needs: AccessScope, *, takes_ticket: bool = False) -> None:
        """Raises a problem unless the caller may do what needs this scope."""
        store = await self._jobs.store()
        await self._ring.refresh(store)
        if self._is_open(scope):
            return
        text = _key_text(scope)
        if not text and takes_ticket:
            # Browsers and proxies send an Authorization of another kind by themselves.
            ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[0]
            if ticket:
                await self._admit_ticket(scope, store, ticket)
                return
        if text is None:
            detail = "send an API key, as in -H 'Authorization: Bearer aj_…'; `async-job keys create` makes one"
            raise _who("key_missing", detail)
        key = self._ring.find(text)
        if key is None:
            raise _who("key_unknown", "this API key is not known here, or was revoked", b'error="invalid_token"')
        self._count(scope, key, store.now())
        if not key.may(needs):
            challenge = b'error="insufficient_scope", scope="%b"' % needs.encode()
            raise Problem(403, "scope_missing", f"this needs a key with the scope {needs}", [_challenge(challenge)])
        note_key(scope, key)

    async def while_admitted(self, scope: Scope, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks, until the one who was let in would be let in no longer."""
        async for chunk in chunks:
            await self._ring.refresh(await self._jobs.store())
            id = key_of(scope)
            if self._ring.live(id) is None if id is not None else not self._is_open(scope):
                return
            yield chunk

    def _is_open(self, scope: Scope) -> bool:
        """A server that never had a key is open to its own machine."""
        if self._ring.in_use:
            return False
        settings = self._jobs.settings
        if settings.allow_open:
            return True
        return not self._ring.was_used and is_loopback(settings.host) and _is_within(scope)

    async def _admit_ticket(self, scope: Scope, store: Store, text: str) -> None:
        """The ticket is spent by this, and reads what its key could read."""
        key = self._ring.live(tickets.key_of(text) or "")
        job = path_guid(scope)
        if key is None or job is None or not await self._tickets.spend(store, text, job):
            detail = "this ticket is not good for this job, has expired, or was used already; get a new one"
            raise _who("ticket_unknown", detail, b'error="invalid_token"')
        note_key(scope, key)

    def _count(self, scope: Scope, key: ApiKey, now: int) -> None:
        allowance = self._limiter.take(key, now)
        if allowance is None:
            return
        note_limit(scope, [(b"ratelimit-policy", allowance.policy), (b"ratelimit", allowance.state)])
        if not allowance.granted:
            detail = f"this key may send {allowance.rate} requests a minute"
            raise Problem(429, "rate_limited", detail, [retry_after(allowance.pause)])


def _is_liveness(scope: Scope) -> bool:
    path: str = scope["path"]
    return path == f"{scope.get('root_path', '')}{LIVENESS}"


def _key_text(scope: Scope) -> str | None:
    """The key that the request bears; ``None``: it bears none, empty: it bears something that is no key."""
    given = header(scope, b"x-api-key")
    if given is not None:
        # The other header may then be for the application that this one is mounted in.
        return given.decode("latin-1")
    authorization = header(scope, b"authorization")
    if authorization is None:
        return None
    found = BEARER.fullmatch(authorization.strip())
    return found[1].decode("latin-1") if found else ""


def _who(code: str, detail: str, more: bytes = b"") -> Problem:
    return Problem(401, code, detail, [_challenge(more)])


def _challenge(more: bytes) -> tuple[bytes, bytes]:
    return (b"www-authenticate", b'Bearer realm="async-job"' + (b", " + more if more else b""))


def _is_within(scope: Scope) -> bool:
    """Whether the request stays on this machine: neither end is another's address. What is no address at all is a
    test client's, or a socket in the file system."""
    return _is_local(scope.get("server")) and _is_local(scope.get("client"))


def _is_local(end: tuple[str, int] | None) -> bool:
    return end is None or _is_here(str(end[0]))


@lru_cache(maxsize=128)
def _is_here(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return True
    return is_loopback(host)
