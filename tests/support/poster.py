"""A client that posts jobs over HTTP until they are acknowledged, under an idempotency key each, and keeps book."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any, Self

import httpx

from support import ledger

PAUSE = 0.05


class Poster:
    def __init__(self, port: int, book: Path, patience: float = 30.0) -> None:
        self.port = port
        self.repeats = 0
        """How often a request had to be sent again."""
        self.server_errors: list[str] = []
        self.refusals: list[int] = []
        """The answers that refused; 0: there was none."""
        self._ending = False
        self._book = book
        self._patience = patience
        self._http = httpx.AsyncClient(trust_env=False, timeout=5.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.aclose()

    async def submit_on(self, pause: float, seconds: float = 0.05) -> None:
        """One after the other, until it is told to `finish`; what was begun then is still acknowledged."""
        while not self._ending:
            await self.submit(seconds)
            await asyncio.sleep(pause)

    def finish(self) -> None:
        self._ending = True

    async def try_submit(self, type: str, input: dict[str, Any]) -> bool:
        """Once; whether it was accepted. Why not is added to `refusals`."""
        key = secrets.token_hex(8)
        ledger.note(self._book, "invoke", key)
        answer = await self._post({"type": type, "input": input}, key, self.port)
        if answer is not None and answer.is_success:
            ledger.note(self._book, "ok", answer.json()["id"])
            return True
        ledger.note(self._book, "fail", key)
        self.refusals.append(answer.status_code if answer is not None else 0)
        return False

    async def submit(self, seconds: float = 0.05, key: str = "", port: int = 0, **options: Any) -> str:
        """The job's id, when the server has acknowledged it."""
        key = key or secrets.token_hex(8)
        ledger.note(self._book, "invoke", key)
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            answer = await self._post(
                {"type": "work", "input": {"seconds": seconds}, **options}, key, port or self.port
            )
            if answer is not None and answer.is_success:
                id: str = answer.json()["id"]
                ledger.note(self._book, "ok", id)
                return id
            if answer is not None and answer.status_code not in (409, 503):
                self.server_errors.append(f"{answer.status_code} {answer.text[:200]}")
            self.repeats += 1
            await asyncio.sleep(PAUSE)
        ledger.note(self._book, "fail", key)
        raise TimeoutError(f"no submit was acknowledged within {self._patience:g} s")

    async def _post(self, body: dict[str, Any], key: str, port: int) -> httpx.Response | None:
        try:
            return await self._http.post(
                f"http://127.0.0.1:{port}/v1/jobs", json=body, headers={"Idempotency-Key": key}
            )
        except httpx.TransportError:
            # Refused, cut off or too late: whether it was done, nobody knows, so it is sent again.
            return None
