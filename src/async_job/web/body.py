"""Reads a request's body, and refuses what is too large, too slow, too deep or no JSON before anybody parses it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
from starlette.types import Receive, Scope

from async_job.web.problems import Problem
from async_job.web.request import header

T = TypeVar("T")

STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
JSON_TYPE: Final = re.compile(rb"application/(?:json|[\w.+-]+\+json)")
CHARSET: Final = re.compile(rb"""charset\s*=\s*["']?(?:utf-?8|us-ascii)["']?""")

WHOLE: Final = "async_job.whole"
"""In the scope, where our own server puts it: the request was there with all its body before it was looked at."""

skip = msgspec.json.Decoder(msgspec.Raw).decode
"""Goes over JSON text and makes nothing of it."""


class ClientGone(Exception):
    """The client has closed its connection: there is nobody to answer."""


async def read_json(scope: Scope, receive: Receive, most: int, deadline: float) -> bytes:
    """The body as JSON text, not yet parsed; empty if there is none. See ``read``."""
    body = await read(scope, receive, most, deadline)
    if body:
        _check_type(scope)
        _check_syntax(body)
    return body


async def read(scope: Scope, receive: Receive, most: int, deadline: float) -> bytes:
    """The body, of at most ``most`` bytes, within ``deadline`` seconds. One that says it is longer is refused without
    reading any of it."""
    length = header(scope, b"content-length") or b"0"
    if length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)
    if WHOLE in scope:
        # There is nothing to wait for, and a timer takes as long as all the rest of this.
        return await _read(receive, most)
    try:
        async with asyncio.timeout(deadline):
            return await _read(receive, most)
    except TimeoutError as error:
        detail = f"the body did not arrive within {deadline:g} s"
        raise Problem(408, "body_timeout", detail, [(b"connection", b"close")]) from error


async def _read(receive: Receive, most: int) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise _too_large(most)
        more = message.get("more_body", False)
    return b"".join(parts)


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"the body may have at most {most} bytes")


def _check_type(scope: Scope) -> None:
    given = header(scope, b"content-type")
    coding = header(scope, b"content-encoding")
    if coding is not None and coding.strip().lower() != b"identity":
        raise Problem(415, "unsupported_content_encoding", "send the body as it is, without Content-Encoding")
    if given is None or not _is_json(given):
        is_said = "has no Content-Type" if given is None else f"is {given[:200].decode('latin-1')}"
        detail = (
            f"the body {is_said}, and has to be JSON in UTF-8: add -H 'Content-Type: application/json' "
            "(curl's -d sends a form)"
        )
        raise Problem(415, "unsupported_media_type", detail)


@lru_cache(maxsize=128)
def _is_json(content_type: bytes) -> bool:
    media, *parameters = [part.strip().lower() for part in content_type.split(b";")]
    charset = [part for part in parameters if part.startswith(b"charset")]
    return JSON_TYPE.fullmatch(media) is not None and all(CHARSET.fullmatch(part) for part in charset)


def _check_syntax(body: bytes) -> None:
    """That it is JSON is found out first, so that what is not is never taken for an input that does not fit."""
    try:
        if not body.isascii():
            body.decode()
        skip(body)
    except RecursionError as error:
        raise Problem(422, "too_deep", "the body is nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed_json", f"the body is no JSON: {error}") from error


def decode(decoder: Callable[[bytes], T], body: bytes) -> T:
    """What the body holds, by msgspec's ``decoder``. Raises a problem when it is empty, or something else."""
    if not body:
        raise Problem(400, "malformed_json", "the body is empty; send a JSON object")
    try:
        return decoder(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise Problem(422, "invalid_request", reason, at=path.rstrip("`")) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed_json", f"the body is no JSON: {error}") from error


def check_input(text: bytes, most: int, depth: int) -> None:
    """Raises a problem when an input is larger than ``most`` bytes or nested deeper than ``depth``."""
    if len(text) > most:
        raise Problem(413, "too_large", f"the input may have at most {most} bytes, and has {len(text)}")
    if text.count(b"[") + text.count(b"{") > depth and _depth(text) > depth:
        raise Problem(422, "too_deep", f"the input may be nested at most {depth} deep")


def _depth(text: bytes) -> int:
    """How deep the brackets nest; those in strings do not count."""
    depth = deepest = 0
    for bracket in STRING.sub(b"", text).translate(None, NO_BRACKETS):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest
