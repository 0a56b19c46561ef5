"""What a URL has to be like that a webhook may go to."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from async_job.settings import Settings
from async_job.webhooks.address import refusal

LONGEST_URL: Final = 2_048
CHARACTERS: Final = re.compile(r"[!-~]+")
"""Visible ASCII: whatever else a URL holds has to be escaped."""


def wrong_url(url: str, settings: Settings) -> str | None:
    """Why no webhook may go to this URL; ``None``: one may, as far as can be said without asking for its addresses."""
    if len(url) > LONGEST_URL:
        return f"a URL may have at most {LONGEST_URL} characters, not {len(url)}"
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "that is no URL, as in https://example.com/hook, or it has characters that have to be escaped"
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.webhook_allow_http):
        return f"a URL has to begin with https://, not {parts.scheme}:"
    if parts.username is not None or parts.password is not None or "#" in url:
        return "a URL may have no user name, password or fragment"
    kind = None if settings.webhook_allow_private else _refusal(parts.hostname)
    return None if kind is None else f"{parts.hostname} is {kind}; webhooks go to public addresses only"


def _split(url: str) -> SplitResult | None:
    if not CHARACTERS.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        # Reading the port is what finds out that it is none.
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _refusal(host: str) -> str | None:
    """Of a host that is written as an address; names are looked up when it is sent."""
    if host == "localhost" or host.endswith(".localhost"):
        return "this machine"
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return refusal(str(address))
