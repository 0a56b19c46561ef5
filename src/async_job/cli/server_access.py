"""The way to the jobs through a running server."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import httpx
import msgspec
from msgspec import Struct

from async_job.cli.access import HOLD
from async_job.cli.view import JobView
from async_job.errors import AsyncJobError, InvalidInput, JobNotFound, ServerError, UsageError
from async_job.settings import is_loopback


class JobType(Struct):
    type: str
    input_schema: dict[str, Any]


class JobTypes(Struct):
    items: list[JobType]


class Problem(Struct):
    """What is read of a problem document."""

    detail: str = ""
    title: str = ""
    at: str = ""


class ServerAccess:
    """Over HTTP, with the verbs that any client has."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url!r} is no server; write --url http://host:5079, or set ASYNC_JOB_URL")
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=self._url,
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(10, read=HOLD + 10),
            # A proxy to the world outside knows no way to this machine.
            trust_env=not is_loopback(parts.hostname),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.aclose()

    async def input_schema(self, type: str) -> dict[str, Any]:
        types = msgspec.json.decode(await self._ask("GET", "/v1/job-types"), type=JobTypes).items
        for known in types:
            if known.type == type:
                return known.input_schema
        raise UsageError(f"the server knows no type {type!r}; it has {', '.join(known.type for known in types)}")

    async def submit(self, type: str, input: dict[str, Any]) -> str:
        body = msgspec.json.encode({"type": type, "input": input})
        return JobView.of(await self._ask("POST", "/v1/jobs", {"Content-Type": "application/json"}, body)).id

    async def read(self, id: str) -> JobView:
        return JobView.of(await self._ask("GET", _path(id)))

    async def changed(self, id: str, after: int) -> JobView | None:
        headers = {"Prefer": f"wait={HOLD}", "If-None-Match": f'"{after}"'}
        text = await self._ask("GET", _path(id), headers)
        return JobView.of(text) if text else None

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> bytes:
        """The body of a good answer; empty for "not modified"."""
        try:
            answer = await self._client.request(method, path, headers=headers, content=body)
        except httpx.TransportError as error:
            raise ServerError(
                f"no server answers at {self._url} ({str(error) or type(error).__name__}); "
                "start one by `async-job serve`, or name another by --url or ASYNC_JOB_URL"
            ) from error
        if answer.status_code == HTTPStatus.NOT_MODIFIED:
            return b""
        if answer.is_success and "json" in answer.headers.get("Content-Type", ""):
            return answer.content
        raise self._refusal(path, answer)

    def _refusal(self, path: str, answer: httpx.Response) -> AsyncJobError:
        """What an answer that is not good means."""
        if "problem+json" not in answer.headers.get("Content-Type", ""):
            what = f"{answer.status_code} {answer.reason_phrase} to {path}"
            return ServerError(f"{self._url} answered {what}; is it an async-job server?")
        problem = msgspec.json.decode(answer.content, type=Problem)
        says = problem.detail or problem.title
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            return UsageError(f"{says} (for these commands: set ASYNC_JOB_API_KEY)")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return JobNotFound(unquote(path.rpartition("/")[2]))
        if answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
            return InvalidInput(says, problem.at)
        if answer.is_client_error and answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return UsageError(says)
        return ServerError(f"{self._url} answered {answer.status_code}: {says}")


def _path(id: str) -> str:
    return f"/v1/jobs/{quote(id, safe='')}"
