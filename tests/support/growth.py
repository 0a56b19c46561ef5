"""What a program takes as time goes by: memory and open files of each of its processes, and SQLite's log."""

import asyncio
import os
from collections import defaultdict
from pathlib import Path
from statistics import median

from support.long_polls import memory
from support.supervised import Program, command_of

MOST = {"memory_kib": (1.15, 8_000), "files": (1.0, 8), "wal_kib": (1.5, 8_000)}
"""The last third may be so many times the first, and so much more."""
WARM_UP = 0.1

Thirds = dict[str, tuple[int, int]]


class Growth:
    """`watch` looks again and again; `thirds` are the medians of the first third (without a warm-up) and the last."""

    def __init__(self, program: Program, wal: Path) -> None:
        self._program = program
        self._wal = wal
        self._samples: dict[str, list[int]] = defaultdict(list)

    async def watch(self, pause: float) -> None:
        while True:
            for pid in (self._program.pid, *self._program.children()):
                name = "server" if "async_job.server" in command_of(pid) else "worker"
                name = "supervisor" if pid == self._program.pid else name
                self._samples[f"{name} memory_kib"].append(memory(pid))
                self._samples[f"{name} files"].append(len(os.listdir(f"/proc/{pid}/fd")))
            if self._wal.exists():
                self._samples["wal_kib"].append(self._wal.stat().st_size // 1024)
            await asyncio.sleep(pause)

    def thirds(self) -> Thirds:
        found = {}
        for name, samples in self._samples.items():
            warm = samples[int(WARM_UP * len(samples)) :]
            third = max(1, len(warm) // 3)
            found[name] = (round(median(warm[:third])), round(median(warm[-third:])))
        return found

    def grown(self) -> list[str]:
        """What takes more than it may."""
        found = []
        for name, (first, last) in self.thirds().items():
            times, more = MOST[name.rpartition(" ")[2]]
            if last > times * first + more:
                found.append(f"{name} grew from {first} to {last}")
        return found
