"""How many can wait at once: a thousand long polls on one server process, its memory, and how soon each is answered.

python tests/support/long_polls.py redis://127.0.0.1:6400        (or sqlite:///file.db; a thousand unless told)
"""

import asyncio
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx

from async_job import Jobs
from async_job.settings import Settings
from async_job.worker.launch import Launch

PACE = 200
"""Jobs that end in a second."""


async def poll(port: int, id: str) -> tuple[float, str]:
    """When the answer came, and what state it tells."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /v1/jobs/{id} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=600\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    at = time.perf_counter()
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = json.loads(await reader.readexactly(length))
    writer.close()
    return at, body["state"]


def memory(pid: int) -> int:
    """Resident KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def busy(pid: int) -> float:
    """Seconds of processor time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def measure(jobs: Jobs, port: int, pid: int, n: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        body = {"jobs": [{"type": "demo"}] * n}
        ids = [item["job"]["id"] for item in (await client.post("/v1/jobs/batch", json=body)).json()["items"]]
        for _ in range(50):
            await client.get(f"/v1/jobs/{ids[0]}")
    before = memory(pid)
    polls = [asyncio.create_task(poll(port, id)) for id in ids]
    await asyncio.sleep(5)
    waiting = memory(pid)
    used = busy(pid)
    await asyncio.sleep(5)
    idle = (busy(pid) - used) / 5
    ended: list[float] = []
    for id in ids:
        await jobs.cancel(id)
        ended.append(time.perf_counter())
        await asyncio.sleep(1 / PACE)
    answers = await asyncio.gather(*polls)
    late = sorted((at - end) * 1000 for end, (at, _) in zip(ended, answers, strict=True))
    assert {state for _, state in answers} == {"cancelled"}
    quantiles = statistics.quantiles(late, n=100)
    print(
        f"{n} long polls: {before} KiB before, {(waiting - before) / n:.1f} KiB each, {idle:.0%} of a core while idle;"
    )
    print(f"end to answer: p50 {quantiles[49]:.1f} ms, p99 {quantiles[98]:.1f} ms, last {late[-1]:.1f} ms")


def main(url: str, n: int = 1000) -> None:
    most = min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings = Settings(store=url, max_wait=600)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listen:
        # Nobody reads the server's signs of life: they fit into the pipe. It ends when this process does.
        _, signs_fd = os.pipe()
        life_fd, _ = os.pipe()
        launch = Launch(target=None, settings=settings, listen_fd=listen.fileno(), signs_fd=signs_fd, life_fd=life_fd)
        command = [sys.executable, "-m", "async_job.server"]
        with subprocess.Popen(command, env=launch.environ(), pass_fds=launch.fds) as server:
            jobs = Jobs()
            jobs.configure(settings=settings)
            asyncio.run(measure(jobs, listen.getsockname()[1], server.pid, n))
            server.terminate()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
