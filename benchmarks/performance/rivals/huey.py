"""Huey, on Redis or SQLite: consumers by its command line."""

from bodies import SYNC
from huey import RedisHuey, SqliteHuey
from huey.api import Result

from rivals import CONCURRENCY, FASTEST, POLL, URL

NOTE = f"delivers at most once; threads; results looked for each {POLL:g} s at least (1)" + (
    "; results=False: no result" if FASTEST else ""
)
if URL.startswith("sqlite:"):
    NOTE += "; synchronous=NORMAL, its default"
    huey = SqliteHuey("benchmark", filename=URL.removeprefix("sqlite:///"), results=not FASTEST)
else:
    huey = RedisHuey("benchmark", url=URL, results=not FASTEST)

work = {name: huey.task(name=name)(body) for name, body in SYNC.items()}


def workers(processes: int) -> list[list[str]]:
    command = ["bin/huey_consumer", "rivals.huey.huey", "--workers", str(CONCURRENCY), "--quiet"]
    return [command] * processes


def connect() -> None:
    huey.storage.queue_size()


def submit(body: str) -> Result:
    return work[body]()


def result(handle: Result, seconds: float) -> int:
    return handle.get(blocking=True, timeout=seconds, max_delay=POLL, preserve=True)


def close() -> None:
    huey.storage.close()
