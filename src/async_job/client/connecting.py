"""How both clients use httpx: where they connect to, how long they wait, what they make of what comes back."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from async_job.client.steps import Call, Lost, Reply
from async_job.errors import UsageError
from async_job.settings import is_loopback

DEFAULT_URL: Final = "http://127.0.0.1:5079"
PATIENCE: Final = 30.0
"""Seconds for which a call is repeated that a server did not answer, or was too busy for."""
TIMEOUT: Final = 10.0
"""Seconds for a connection, and for an answer that is not held back."""
SHORT_CALLS: Final = 100
"""Calls at the same time that the server answers at once; more of them queue, for as long as it takes. A call that is
held back takes no place in this, so that no other waits for it."""
VISIBLE: Final = re.compile("[!-~]+")
CUT: Final = Lost("the stream ended before the job", sent=True)


def client_options(url: str, api_key: str | None) -> dict[str, Any]:
    """The arguments of ``httpx.Client`` and ``httpx.AsyncClient``.

    Raises:
        UsageError: the URL is none of a server, or the key none that could be sent.
    """
    scheme, host = _read_url(url)
    headers = {"Accept": "application/json", "User-Agent": f"async-job/{version('async-job')}"}
    if api_key is not None:
        if not VISIBLE.fullmatch(api_key):
            raise UsageError(
                "the API key has to be visible ASCII characters, as `async-job keys create` has printed it"
            )
        headers["Authorization"] = f"Bearer {api_key}"
    return {
        "base_url": url.rstrip("/"),
        "headers": headers,
        "timeout": TIMEOUT,
        # Reading all certificates takes a while, and plain HTTP has none.
        "verify": scheme == "https",
        # The clients count calls themselves. More idle ones would cost more than they save: each call looks at them.
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        # A proxy to the world outside knows no way to this machine.
        "trust_env": not is_loopback(host),
    }


def _read_url(url: str) -> tuple[str, str]:
    """Its scheme and its host."""
    says = f"{url!r} is no server; write a URL as in {DEFAULT_URL}"
    try:
        parts = urlsplit(url)
        # That a port is none is told when it is asked for, and some other things only by httpx.
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and httpx.URL(url).host:
            return parts.scheme, parts.hostname
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(says) from error
    raise UsageError(says)


def request_options(call: Call) -> dict[str, Any]:
    """The arguments of ``request`` for a call."""
    limit = min(TIMEOUT, call.within)
    return {
        "method": call.method,
        "url": call.path,
        "headers": call.headers,
        "params": call.query or None,
        "content": call.body,
        "timeout": httpx.Timeout(limit, read=min(call.hold + TIMEOUT, call.within)),
    }


def read(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)


def lost(error: httpx.TransportError) -> Lost:
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return Lost(str(error) or type(error).__name__, sent=not unsent)
