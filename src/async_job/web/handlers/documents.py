"""The handlers that describe the API: the OpenAPI document, and a page that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, Final, NamedTuple

from starlette.types import Receive, Scope

from async_job.jobs import Jobs
from async_job.web.answer import JSON, Answer, encode
from async_job.web.openapi import document
from async_job.web.operation import Operation
from async_job.web.problems import Problem
from async_job.web.request import header, matches_etag

STATIC: Final = files("async_job.web") / "static"
SCRIPT: Final = "text/javascript; charset=utf-8"
STYLE: Final = "text/css; charset=utf-8"
ASSETS: Final = {
    "docs.js": ("docs.js", SCRIPT),
    "docs.css": ("docs.css", STYLE),
    "swagger-ui-bundle.js": ("vendor/swagger-ui/swagger-ui-bundle.js", SCRIPT),
    "swagger-ui.css": ("vendor/swagger-ui/swagger-ui.css", STYLE),
}
"""Under which names the page loads what."""
PAGE: Final = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class Documents:
    """``table`` is what the document tells of."""

    def __init__(self, jobs: Jobs, table: Sequence[Operation]) -> None:
        self._jobs = jobs
        self._table = table
        self._text = b""
        self._functions = -1

    def described(self) -> list[Operation]:
        """The table, with what describes it."""
        own = Operation("GET", "/openapi.json", self.openapi, "none", {200: dict[str, Any]})
        page = Operation("GET", "/docs", self.page, "none", {200: str})
        asset = Operation("GET", "/docs/{name}", self.asset, "none", {200: str})
        self._table = [*self._table, own]
        return [*self._table, page, asset]

    async def openapi(self, scope: Scope, receive: Receive) -> Answer:
        """This document."""
        functions = len(self._jobs.functions)
        if functions != self._functions:
            # It is written once; functions may still be registered after the application is made.
            self._text, self._functions = encode(document(self._jobs, self._table)), functions
        root: str = scope["root_path"]
        head = b'{"servers":' + encode([{"url": root or "/"}]) + b","
        return Answer(200, [JSON, (b"cache-control", b"no-cache")], head + self._text[1:])

    async def page(self, scope: Scope, receive: Receive) -> Answer:
        """The page that shows the document."""
        root = escape(scope["root_path"])
        return Answer(200, PAGE, _page().replace("{root}", root).encode())

    async def asset(self, scope: Scope, receive: Receive) -> Answer:
        """A file that the page loads."""
        name: str = scope["path_params"]["name"]
        if name not in ASSETS:
            raise Problem(404, "unknown_path", "there is nothing under this path")
        asset = _asset(*ASSETS[name])
        headers = [
            (b"content-type", asset.type),
            (b"cache-control", b"no-cache"),
            (b"etag", asset.etag),
            (b"x-content-type-options", b"nosniff"),
        ]
        if matches_etag(header(scope, b"if-none-match"), asset.etag):
            return Answer(304, headers)
        return Answer(200, headers, asset.text)


class Asset(NamedTuple):
    type: bytes
    etag: bytes
    text: bytes


@cache
def _page() -> str:
    return (STATIC / "docs.html").read_text("utf-8")


@cache
def _asset(path: str, type: str) -> Asset:
    text = (STATIC / path).read_bytes()
    return Asset(type.encode(), b'"%b"' % sha256(text).hexdigest()[:32].encode(), text)
