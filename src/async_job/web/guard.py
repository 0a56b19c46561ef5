"""Keeps web pages out: a browser on this machine reaches a loopback address for any page that it shows."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from starlette.types import Scope

from async_job.settings import is_loopback
from async_job.web.problems import Problem
from async_job.web.request import header

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(?::\d*)?")


def check(scope: Scope, allow_open: bool) -> None:
    """Refuses unsafe requests that another site's page makes, and names that do not belong to a loopback address.

    The second is what stops DNS rebinding, where a page's own name comes to point to this machine; ``allow_open``
    lifts it, for a proxy that passes its own name on.
    """
    if scope["method"] not in SAFE:
        _check_site(scope)
    server = scope.get("server")
    if server is not None and not allow_open and _is_local(server[0]):
        _check_host(header(scope, b"host") or b"")


def _check_site(scope: Scope) -> None:
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        foreign = site not in (b"same-origin", b"none")
    else:
        origin = header(scope, b"origin")
        host = header(scope, b"host") or b""
        foreign = origin is not None and origin.lower().partition(b"://")[2] != host.lower()
    if foreign:
        detail = "a page of another site may not change anything here (Sec-Fetch-Site, Origin)"
        raise Problem(403, "cross_site", detail)


def _check_host(host: bytes) -> None:
    if host and not _is_local_name(host):
        name = host[:200].decode("latin-1")
        detail = f"{name} is no name of this machine's own; use localhost, or set allow_open if a proxy stands before"
        raise Problem(421, "host_not_loopback", detail)


@lru_cache(maxsize=128)
def _is_local(address: str) -> bool:
    return is_loopback(address)


@lru_cache(maxsize=128)
def _is_local_name(host: bytes) -> bool:
    found = HOST.fullmatch(host.decode("latin-1"))
    return found is not None and is_loopback(found[1])
