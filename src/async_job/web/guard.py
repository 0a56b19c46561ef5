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


def check_site(scope: Scope) -> None:
    """Refuses unsafe requests that another site's page makes."""
    if scope["method"] in SAFE:
        return
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


def is_own_name(scope: Scope) -> bool:
    """Whether a loopback address is called by a name that belongs to it. One that does not is how DNS rebinding shows,
    where a page's own name comes to point to this machine; or a proxy stands before, and passes its own name on."""
    server = scope.get("server")
    host = header(scope, b"host")
    return server is None or not host or not is_loopback(server[0]) or _is_local_name(host)


def not_own_name(scope: Scope) -> Problem:
    name = (header(scope, b"host") or b"")[:200].decode("latin-1")
    detail = (
        f"{name} is no name of this machine's own; use localhost, or if a proxy stands before, let it ask for API keys "
        "(`async-job keys create`), or set allow_open"
    )
    return Problem(421, "host_not_loopback", detail)


@lru_cache(maxsize=128)
def _is_local_name(host: bytes) -> bool:
    found = HOST.fullmatch(host.decode("latin-1"))
    return found is not None and is_loopback(found[1])
