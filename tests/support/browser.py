"""Debian's Chromium without a window: what a page looks like when its scripts have run, and whom it asked."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
)


class Shown(NamedTuple):
    """``asked``: the hosts that the page asked, with their ports. ``told``: what was said on the page's console."""

    html: str
    asked: set[str]
    told: list[str]


def find_chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is missing (Debian: apt install chromium)")
    return found


async def show(url: str, directory: Path) -> Shown:
    """The page in a browser whose profile is new, below ``directory``."""
    log = directory / "net.json"
    chromium = await asyncio.create_subprocess_exec(
        find_chromium(),
        *FLAGS,
        f"--user-data-dir={directory / 'profile'}",
        f"--log-net-log={log}",
        "--dump-dom",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(90):
            html, said = await chromium.communicate()
    finally:
        if chromium.returncode is None:
            chromium.kill()
            await chromium.wait()
    told = [line for line in said.decode("utf-8", "replace").splitlines() if "CONSOLE" in line]
    return Shown(html.decode(), _asked(log), told)


def _asked(log: Path) -> set[str]:
    """The hosts that the page asked, by the browser's own record of its network. What the browser asks for itself,
    such as for news of its own, has no page as its initiator."""
    record = json.loads(log.read_text("utf-8"))
    begun = record["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    requests = [event.get("params", {}) for event in record["events"] if event["type"] == begun]
    asked = [request["url"] for request in requests if "://" in request.get("initiator", "")]
    return {urlsplit(url).netloc for url in asked if not url.startswith("data:")}
