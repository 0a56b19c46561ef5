"""Runs in a rival's environment and speaks for its adapter: `python driver.py NAME`.

Reads one question a line from standard input, as JSON, and answers each by one line. Callers are tasks of one event
loop; an adapter whose functions are not `async` has one caller, since more threads would not make it faster.
"""

import asyncio
import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

PATIENCE = 10.0
"""Seconds that a result is waited for."""
GIVE_UP = 5
PAUSE = 0.023
"""Seconds between two jobs on an idle system; no multiple of anybody's polling."""


async def value(given: Any) -> Any:
    return await given if inspect.isawaitable(given) else given


class Driver:
    def __init__(self, name: str) -> None:
        self._adapter = importlib.import_module(f"rivals.{name}")
        self._async = inspect.iscoroutinefunction(self._adapter.submit)
        self._handles: list[Any] = []

    async def about(self, processes: int) -> dict[str, Any]:
        return {
            "note": self._adapter.NOTE,
            "workers": self._adapter.workers(processes),
            "bulk": hasattr(self._adapter, "bulk"),
        }

    async def connect(self) -> None:
        await value(self._adapter.connect())

    async def submit(self, body: str, count: int, callers: int) -> dict[str, float]:
        """One by one; how long it took, and how many callers did it."""
        submit, handles = self._adapter.submit, self._handles

        async def call(number: int) -> None:
            for _ in range(number):
                handles.append(await submit(body))

        begin = time.perf_counter()
        if self._async:
            share, more = divmod(count, callers)
            await asyncio.gather(*(call(share + (caller < more)) for caller in range(callers)))
        else:
            callers = 1
            for _ in range(count):
                handles.append(submit(body))
        return {"seconds": time.perf_counter() - begin, "callers": callers}

    async def bulk(self, body: str, count: int) -> dict[str, float]:
        """By the adapter's way for many, a thousand a call."""
        begin = time.perf_counter()
        for start in range(0, count, 1000):
            self._handles += await value(self._adapter.bulk(body, min(1000, count - start)))
        return {"seconds": time.perf_counter() - begin}

    async def missing(self, most: int) -> dict[str, Any]:
        """Of so many jobs, spread evenly, and of the last ten: how many have no result that can be read, and why the
        last of them has none. It is given up after `GIVE_UP` of them."""
        step = max(1, len(self._handles) // most)
        missing, reason = 0, ""
        for handle in [*self._handles[::step], *self._handles[-10:]]:
            try:
                # Not all keep to the time that they are given.
                async with asyncio.timeout(PATIENCE + 1):
                    found = await value(self._adapter.result(handle, PATIENCE))
            except Exception as error:  # noqa: BLE001 (whatever it is, there is no result)
                found = f"{type(error).__name__}: {error}"
            if not isinstance(found, int):
                missing, reason = missing + 1, str(found)
                if missing == GIVE_UP:
                    break
        return {"missing": missing, "reason": reason}

    async def latency(self, count: int, seconds: float) -> dict[str, list[float]]:
        """Jobs on an idle system, one after the other: milliseconds until each body ran, and until its result was
        seen here."""
        ran, seen = [], []
        end = time.monotonic() + seconds
        while len(ran) < count and time.monotonic() < end:
            await asyncio.sleep(PAUSE)
            begin = time.monotonic_ns()
            handle = await value(self._adapter.submit("noop"))
            at = await value(self._adapter.result(handle, PATIENCE))
            seen.append((time.monotonic_ns() - begin) / 1e6)
            ran.append((at - begin) / 1e6)
        return {"ran": ran, "seen": seen}

    async def close(self) -> None:
        await value(self._adapter.close())


async def main() -> None:
    # What a rival prints is none of the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    driver = Driver(sys.argv[1])
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        question = json.loads(line)
        asked: Callable[..., Any] = getattr(driver, question.pop("ask"))
        try:
            answer = {"answer": await asked(**question)}
        except Exception as error:  # noqa: BLE001 (the harness shows it in the table)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    asyncio.run(main())
