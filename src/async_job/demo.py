"""The built-in job: it sleeps, as the original's does, and shows its progress."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from msgspec import Meta

from async_job.context import Context

STEPS: Final = 20

Seconds = Annotated[float, Meta(ge=0, le=86_400, description="How long to sleep.")]


def make_demo(default_seconds: float) -> Callable[..., Awaitable[None]]:
    """The demo with its length from the settings, in seconds."""

    async def demo(context: Context, seconds: Seconds = default_seconds) -> None:
        """Sleeps for a while to simulate work."""
        for step in range(STEPS):
            context.progress(step, STEPS)
            await asyncio.sleep(seconds / STEPS)
        context.progress(STEPS, STEPS)

    return demo
