"""Errors as problem documents (RFC 9457), and which error of ours is which."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from starlette.types import Scope

from async_job.errors import (
    AlreadyFinished,
    AsyncJobError,
    Conflict,
    DeliveryNotFound,
    EndpointExists,
    EndpointNotFound,
    InvalidInput,
    InvalidOptions,
    JobNotFound,
    KeyReused,
    NotFinished,
    NotJson,
    NotRetryable,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    UniqueKeyHeld,
    UnknownType,
)
from async_job.ids import new_id
from async_job.web.answer import Answer, Headers, encode
from async_job.web.request import header

CONTENT_TYPE: Final = (b"content-type", b"application/problem+json")
REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")

STORE_AWAY_PAUSE: Final = 1
STORE_FULL_PAUSE: Final = 10
STORE_REFUSED_PAUSE: Final = 30
"""Seconds after which a client is told to try again."""

CONFLICTS: Final[dict[type[Conflict], str]] = {
    AlreadyFinished: "already_finished",
    NotFinished: "not_finished",
    NotRetryable: "not_retryable",
    UniqueKeyHeld: "unique_key_held",
}


class Problem(Exception):
    """An answer that is an error. ``code`` is for programs, ``detail`` for people; ``more`` are further members."""

    def __init__(self, status: int, code: str, detail: str, headers: Headers | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or []
        self.more = more

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def document(self) -> dict[str, Any]:
        return {"title": self.title, "status": self.status, "code": self.code, "detail": self.detail, **self.more}

    def answer(self, request_id: str) -> Answer:
        document = self.document() | {"request_id": request_id}
        headers = [CONTENT_TYPE, (b"x-request-id", request_id.encode("ascii")), *self.headers]
        return Answer(self.status, headers, encode(document))


def request_id(scope: Scope) -> str:
    """The id that the client or a proxy gave the request, if it is a sound one, else a new one."""
    given = header(scope, b"x-request-id") or b""
    return given.decode("ascii") if REQUEST_ID.fullmatch(given) else new_id()


def retry_after(seconds: int) -> tuple[bytes, bytes]:
    return (b"retry-after", b"%d" % seconds)


def problem_of(error: AsyncJobError) -> Problem | None:
    """The problem that tells of this error; ``None``: the error is nothing that a client brings about."""
    text = str(error)
    match error:
        case NotJson():
            return Problem(400, "malformed_json", text)
        case InvalidInput():
            return Problem(422, "invalid_input", error.reason, at=error.path)
        case InvalidOptions():
            return Problem(422, "invalid_option", text, option=error.option)
        case KeyReused():
            return Problem(422, "idempotency_key_reused", text, job=error.id)
        case UnknownType():
            return Problem(422, "unknown_type", text, job_type=error.type, known=error.known)
        case JobNotFound():
            return Problem(404, "job_not_found", text)
        case UniqueKeyHeld():
            return Problem(409, "unique_key_held", text, holder=error.holder)
        case Conflict():
            return Problem(409, CONFLICTS.get(type(error), "conflict"), text, state=error.job and error.job.state)
        case EndpointNotFound():
            return Problem(404, "endpoint_not_found", text)
        case DeliveryNotFound():
            return Problem(404, "delivery_not_found", text)
        case EndpointExists():
            return Problem(409, "endpoint_exists", text)
        case StoreUnavailable():
            return Problem(503, "store_unavailable", text, [retry_after(STORE_AWAY_PAUSE)])
        case StoreFull():
            return Problem(507, "store_full", text, [retry_after(STORE_FULL_PAUSE)])
        case StoreRefused():
            return Problem(503, "store_refused", text, [retry_after(STORE_REFUSED_PAUSE)])
        case _:
            return None
