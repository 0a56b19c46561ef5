"""Reads what a request says: its headers and preferences. Bodies are read in ``body.py``."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from starlette.types import Scope

from async_job.errors import JobNotFound

HEADERS: Final = "async_job.headers"
WAIT: Final = re.compile(rb'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE)
GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def note_headers(scope: Scope) -> None:
    """Notes the headers by their names, for ``header``. Several of one name are joined by commas, as HTTP says."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    found = dict(headers)
    if len(found) < len(headers):
        values: dict[bytes, list[bytes]] = {name: [] for name in found}
        for name, value in headers:
            values[name].append(value)
        found = {name: b", ".join(several) for name, several in values.items()}
    scope[HEADERS] = found


def header(scope: Scope, name: bytes) -> bytes | None:
    """The header's value. ``name`` in lower case."""
    found: bytes | None = scope[HEADERS].get(name)
    return found


def path_guid(scope: Scope) -> str | None:
    """The job id in the path, in lower case; ``None`` if it is none."""
    given: str = scope["path_params"]["id"].lower()
    return given if GUID.fullmatch(given) else None


def path_job(scope: Scope) -> str:
    """The job id in the path. Raises ``JobNotFound`` if it is none."""
    id = path_guid(scope)
    if id is None:
        raise JobNotFound(scope["path_params"]["id"][:100])
    return id


def wait_within(scope: Scope, most: float) -> float | None:
    """The seconds that the client wants to wait, at most ``most``; ``None``: it does not."""
    wanted = preferred_wait(scope)
    return None if wanted is None else min(wanted, most)


def preferred_wait(scope: Scope) -> int | None:
    """The seconds of ``Prefer: wait=N`` (RFC 7240). Preferences that cannot be read are none."""
    value = header(scope, b"prefer")
    if value is None:
        return None
    for preference in value.split(b","):
        found = WAIT.fullmatch(preference.partition(b";")[0].strip())
        if found:
            return int(found[1])
    return None


def matches_etag(condition: bytes | None, etag: bytes) -> bool:
    """Whether ``If-None-Match`` names this entity; weak and strong are the same here."""
    if condition is None:
        return False
    return condition.strip() == b"*" or any(part.strip().removeprefix(b"W/") == etag for part in condition.split(b","))


class Fit(NamedTuple):
    """How well a media type fits an ``Accept`` header: by quality, then by how exactly and how early it is named."""

    quality: float = 0.0
    exactness: int = 0
    position: int = 0


def wants_json(scope: Scope) -> bool:
    """Whether JSON is asked for rather than a stream of events, which is the default."""
    accept = header(scope, b"accept")
    if accept is None or accept == b"*/*":
        return False
    return _fit(accept, b"application", b"json") > _fit(accept, b"text", b"event-stream")


def accepts_json(scope: Scope) -> bool:
    """Whether JSON is wanted rather than plain text, which is the default."""
    accept = header(scope, b"accept")
    if accept is None or accept == b"*/*":
        return False
    return _fit(accept, b"application", b"json") > _fit(accept, b"text", b"plain")


def _fit(accept: bytes, main: bytes, sub: bytes) -> Fit:
    """The fit by the range that names the type most exactly."""
    patterns = {b"*/*": 1, main + b"/*": 2, main + b"/" + sub: 3}
    best = Fit()
    for position, part in enumerate(accept.lower().split(b",")):
        media, *parameters = [piece.strip() for piece in part.split(b";")]
        exactness = patterns.get(media, 0)
        if exactness > best.exactness:
            best = Fit(_quality(parameters), exactness, -position if exactness == 3 else 0)
    return best if best.quality else Fit()


def _quality(parameters: list[bytes]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            return float(value) if re.fullmatch(rb"[01](\.\d{0,3})?", value.strip()) else 0.0
    return 1.0
