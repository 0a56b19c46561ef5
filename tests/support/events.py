"""Reads server-sent events, whole ones only, as a browser does: what a cut leaves unfinished is dropped."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx


class Event(NamedTuple):
    id: str
    event: str
    data: Any


class Reader:
    """The events of an open stream; comments are counted."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments = 0
        self._lines = answer.aiter_lines()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._read()

    async def _read(self) -> AsyncIterator[Event]:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
                fields = {}

    async def next(self) -> Event:
        return await anext(aiter(self))


@asynccontextmanager
async def listen(client: httpx.AsyncClient, path: str, after: str | None = None) -> AsyncIterator[Reader]:
    """An open stream; ``after`` is the id of the last event that was seen."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    async with client.stream("GET", path, headers=headers) as answer:
        yield Reader(answer)


async def all_events(client: httpx.AsyncClient, path: str, after: str | None = None) -> list[Event]:
    """What is told until the stream ends by itself."""
    async with listen(client, path, after) as reader:
        assert reader.answer.status_code == 200
        return [event async for event in reader]
