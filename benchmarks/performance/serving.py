"""HTTP: one server process without workers, loaded by wrk (Debian: package wrk) on 64 connections."""

import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from support.servers import free_port

FOLDER = Path(__file__).parent
CONNECTIONS = 64
PATIENCE = 30
"""Seconds after which wrk counts an answer as an error."""


def requests(scene: Any, seconds: float) -> dict[str, float]:
    """`POST /start-job`, then `GET /status-job/ID` of one job; with us and the floor also a route that is constant."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on the path (Debian: package wrk)")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ours = scene.side.adapter == "async_job"
    if ours:
        line = ["bin/async-job", "serve", "rivals.async_job:jobs", "--workers", "0", "--port", str(port)]
    else:
        line = ["bin/uvicorn", f"servers.{scene.side.adapter}:app", "--port", str(port), "--no-access-log"]
    with scene:
        scene.start(line)
        scene.until(lambda: _answers(f"{url}/status-job/none"), 30, lambda: "the server did not start")
        with urllib.request.urlopen(urllib.request.Request(f"{url}/start-job", method="POST"), timeout=10) as answer:
            id = answer.read().decode().strip().strip('"')
        figures = _load(f"{url}/start-job", seconds, "start", post=True)
        figures |= _load(f"{url}/status-job/{id}", seconds, "status")
        if ours or scene.side.adapter == "floor_http":
            figures |= _load(f"{url}/healthz", seconds, "constant")
    return figures


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _load(url: str, seconds: float, name: str, *, post: bool = False) -> dict[str, float]:
    script = ["--script", str(FOLDER / "post.lua")] if post else []
    # An answer that takes long is late, not missing.
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:g}s", "--latency",
               "--timeout", f"{PATIENCE}s"]  # fmt: skip
    told = subprocess.run([*command, *script, url], capture_output=True, text=True, timeout=seconds + 60, check=False)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", told.stdout)
    late = re.search(r"99%\s+([0-9.]+)(us|ms|s)", told.stdout)
    wrong = re.search(r"Non-2xx.*|Socket errors.*", told.stdout)
    if rate is None or late is None or wrong:
        raise RuntimeError(f"wrk {url}: {wrong[0] if wrong else told.stdout + told.stderr}")
    scale = {"us": 0.001, "ms": 1, "s": 1000}[late[2]]
    return {f"{name}_per_s": float(rate[1]), f"{name}_p99_ms": float(late[1]) * scale}
