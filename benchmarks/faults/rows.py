"""The faults: each row does one thing to two workers of one project, and counts what became of the jobs."""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from processes import Worker, send
from redis import Redis

from support.servers import Server

LIMIT = 120.0
"""Nobody is waited for longer than this after a fault, in seconds."""
SETTLE = 3.0
TRICKLE = 5.0
"""A small job comes each so many seconds while one waits: some look for what was left only when there is news."""
LONG = 10
"""A job that is to be met by a fault, in seconds: longer than the process that submits it takes to end."""
FULL = LONG + 5
BLOCKED = 30
FOLDER = Path(__file__).parent


@dataclass
class Row:
    """What became of the jobs of one row. `recovery`: seconds from the fault to the last second start; `None`: there
    was nothing to start again, infinite: not within the limit."""

    lost: int = 0
    duplicated: int = 0
    stale: int | None = None
    recovery: float | None = None
    remarks: list[str] = field(default_factory=list)


@dataclass
class Line:
    what: str
    id: str
    pid: int
    at: float


class Scene:
    """A server, two workers of one project and their ledger."""

    def __init__(self, name: str, python: Path, server: Server, folder: Path) -> None:
        self.name = name
        self.server = server
        self.book = folder / "ledger"
        self._python = python
        self._environment = {
            "PATH": f"{python.parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "REDIS_URL": server.url,
            "LEDGER": str(self.book),
            "PYTHONPATH": str(FOLDER),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._folder = folder
        self.about: dict = {}
        self.workers: list[Worker] = []
        self.handles: dict[str, str] = {}
        self._trickled = 0

    def start(self) -> None:
        """Starts both workers; returns when each has run a job."""
        self.about = self.ask("about")
        command = [str(self._python.parent.parent / self.about["command"][0]), *self.about["command"][1:]]
        logs = [self._folder / f"worker-{number}.log" for number in (1, 2)]
        self.workers = [Worker(command, FOLDER, self._environment, log) for log in logs]
        self.warm()

    def end(self) -> None:
        for worker in self.workers:
            worker.end()

    def ask(self, question: str, **given: object) -> dict:
        """One question to the adapter, in a process of the project's own environment."""
        answer = subprocess.run(
            [str(self._python), str(FOLDER / "ask.py"), self.name, question, json.dumps(given)],
            env=self._environment, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        if answer.returncode:
            raise RuntimeError(f"{self.name} {question}: {answer.stderr.decode(errors='replace')[-2000:]}")
        return json.loads(answer.stdout.decode().splitlines()[-1])

    def submit(self, count: int, seconds: float, how: str = "sleep", prefix: str = "job") -> list[str]:
        ids = [f"{prefix}-{number}" for number in range(count)]
        known = self.ask("submit", ids=ids, seconds=seconds, how=how) or {}
        self.handles |= {id: known.get(id, id) for id in ids}
        return ids

    def results(self, ids: list[str]) -> dict[str, str | None]:
        """What the store says that these jobs gave."""
        found = self.ask("results", ids=[self.handles[id] for id in ids])
        return {id: found[self.handles[id]] for id in ids}

    def lines(self, what: str) -> list[Line]:
        text = self.book.read_text() if self.book.exists() else ""
        split = (line.split() for line in text.splitlines())
        return [Line(did, id, int(pid), float(at)) for did, id, pid, at in split if did == what]

    def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Waits for it, and starts workers again that have ended; whether it came about."""
        end = time.monotonic() + seconds
        while not (met := condition()) and time.monotonic() < end:
            for worker in self.workers:
                worker.keep_running()
            time.sleep(0.05)
        return bool(met)

    def warm(self) -> None:
        """Small jobs until both workers have run one, so that no row measures how long they take to start."""

        def both() -> bool:
            ran = {line.pid for line in self.lines("end")}
            return all(ran & worker.ever() for worker in self.workers)

        for number in range(20):
            self.submit(24, 0.3, prefix=f"warm{number}")
            done = 24 * (number + 1)
            self.until(lambda done=done: len(self.lines("end")) >= done, 20)
            if both():
                return
        raise RuntimeError(f"{self.name}: one of the workers ran nothing")

    @contextmanager
    def trickle(self) -> Iterator[None]:
        """Small jobs, now and then, that nobody counts."""
        over = Event()

        def send() -> None:
            while not over.wait(TRICKLE):
                self._trickled += 1
                # A failure is left to the jobs that are counted.
                with suppress(RuntimeError, subprocess.TimeoutExpired):
                    self.ask("submit", ids=[f"trickle-{self._trickled}"], seconds=0.1, how="sleep")

        sender = Thread(target=send)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()

    def busy(self) -> tuple[Worker, list[str]]:
        """A worker that is half a second into its jobs, and which those are."""
        if not self.until(lambda: any(self.running_on(worker) for worker in self.workers), 30):
            raise RuntimeError("no job was started within 30 s")
        time.sleep(0.5)
        return next((worker, running) for worker in self.workers if (running := self.running_on(worker)))

    def running_on(self, worker: Worker) -> list[str]:
        """The jobs that have started in this worker's processes and not ended."""
        ended = {(line.id, line.pid) for line in self.lines("end")}
        pids = set(worker.pids())
        return [line.id for line in self.lines("start") if line.pid in pids and (line.id, line.pid) not in ended]

    def judge(self, ids: list[str], row: Row, *, killed: int = 0, longest: int = LONG) -> Row:
        """Waits for the jobs, and counts. What ended twice is duplicated; what did not end, or whose result is not
        in the store, is lost."""
        with self.trickle():
            self.until(lambda: set(ids) <= {line.id for line in self.lines("end")}, LIMIT)
            self.until(lambda: all(result is not None for result in self.results(ids).values()), LIMIT)
            # Another run may be on its way.
            self.until(lambda: not any({*ids} & {*self.running_on(worker)} for worker in self.workers), longest + 5)
        time.sleep(SETTLE)
        results = self.results(ids)
        ends = Counter(line.id for line in self.lines("end"))
        row.lost = sum(not ends[id] or results[id] is None for id in ids)
        row.duplicated = sum(ends[id] > 1 for id in ids)
        unrecorded = sum(bool(ends[id]) and results[id] is None for id in ids)
        if unrecorded:
            row.remarks.append(f"{unrecorded} ran to their end and have no result")
        deaths = sum(worker.deaths for worker in self.workers) - killed
        if deaths > 0:
            row.remarks.append(f"workers ended by themselves, and were started again, {deaths} times")
        return row

    def recovery(self, ids: list[str], since: float) -> float | None:
        again = [min((line.at for line in self.lines("start") if line.id == id and line.at > since), default=None)
                 for id in ids]  # fmt: skip
        if not again:
            return None
        return float("inf") if None in again else max(at - since for at in again if at is not None)


def interrupted(scene: Scene, whole: bool) -> Row:
    """SIGKILL of the process that runs a job, or of the whole worker, with its parent and children."""
    ids = scene.submit(6, LONG)
    victim, running = scene.busy()
    pids = victim.pids()
    if not whole:
        runner = next(line.pid for line in scene.lines("start") if line.id == running[0])
        running = [line.id for line in scene.lines("start") if line.pid == runner and line.id in running]
        pids = [runner]
    since = time.monotonic()
    send(pids, signal.SIGKILL)
    row = scene.judge(ids, Row(), killed=1)
    row.recovery = scene.recovery(running, since)
    return row


def killed_process(scene: Scene) -> Row:
    return interrupted(scene, whole=False)


def killed_worker(scene: Scene) -> Row:
    return interrupted(scene, whole=True)


def paused(scene: Scene) -> Row:
    """SIGSTOP of a whole worker until another has run its jobs to the end, then SIGCONT."""
    ids = scene.submit(2, LONG)
    victim, running = scene.busy()
    pids = victim.pids()
    since = time.monotonic()
    send(pids, signal.SIGSTOP)

    def taken() -> bool:
        return all(any(line.id == id and line.pid not in pids for line in scene.lines("end")) for id in running)

    try:
        with scene.trickle():
            scene.until(taken, LIMIT)
        time.sleep(SETTLE)
        row = Row(recovery=scene.recovery(running, since))
        before = scene.results(ids)
    finally:
        send(pids, signal.SIGCONT)
    scene.judge(ids, row)
    after = scene.results(ids)
    overtaken = [id for id in running if before[id] is not None]
    overwritten = [id for id in overtaken if after[id] != before[id]]
    row.stale = len(overwritten) if overtaken else None
    # By an error, that is; it is counted once.
    row.lost -= sum(after[id] is None for id in overwritten)
    return row


def full(scene: Scene) -> Row:
    """The server may take no more memory while jobs end; then it may again."""
    ids = scene.submit(8, LONG)
    scene.until(lambda: len({line.id for line in scene.lines("start") if line.id in ids}) >= 2, 20)
    server = Redis(port=scene.server.port)
    server.config_set("maxmemory", 1)
    since = time.monotonic()
    refused = False
    try:
        ids += scene.submit(1, 1, prefix="late")
    except RuntimeError:
        refused = True
    scene.until(lambda: False, FULL - (time.monotonic() - since))
    server.config_set("maxmemory", 0)
    server.close()
    row = scene.judge(ids, Row())
    row.remarks.insert(0, "submit refused" if refused else "submit was not refused")
    return row


def blocked(scene: Scene, how: str) -> Row:
    """A job keeps its event loop, or the whole interpreter, for longer than three silences of ten seconds."""
    ids = scene.submit(1, BLOCKED, how)
    scene.until(lambda: scene.lines("end") and ids[0] in {line.id for line in scene.lines("end")}, BLOCKED + 10)
    return scene.judge(ids, Row(), longest=BLOCKED)


def blocked_loop(scene: Scene) -> Row:
    return blocked(scene, "block")


def held_interpreter(scene: Scene) -> Row:
    return blocked(scene, "hold")


ROWS: dict[str, Callable[[Scene], Row]] = {
    "1": killed_process,
    "1w": killed_worker,
    "3": paused,
    "9": full,
    "11": blocked_loop,
    "11c": held_interpreter,
}
TITLES = {
    "1": "1: SIGKILL of the process that runs a job",
    "1w": "1, whole: SIGKILL of a worker with its parent and children",
    "3": "3: SIGSTOP of a worker until its jobs were taken over, then SIGCONT",
    "9": f"9: Redis at maxmemory for {FULL} s while jobs end",
    "11": f"11: the event loop (or the thread) blocked for {BLOCKED} s",
    "11c": f"11, C: a C call that holds the interpreter for {BLOCKED} s",
}
