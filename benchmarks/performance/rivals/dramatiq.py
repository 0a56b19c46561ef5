"""Dramatiq: workers by its command line, jobs by `send`, results by its Results middleware."""

from bodies import SYNC
from dramatiq import Message, actor, set_broker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from rivals import CONCURRENCY, FASTEST, URL

NOTE = "threads" + ("; without results: neither status nor result" if FASTEST else "; store_results=True")

broker = RedisBroker(url=URL)
if not FASTEST:
    broker.add_middleware(Results(backend=RedisBackend(url=URL)))
set_broker(broker)
OPTIONS = {} if FASTEST else {"store_results": True}
work = {name: actor(body, actor_name=name, **OPTIONS) for name, body in SYNC.items()}


def workers(processes: int) -> list[list[str]]:
    return [["bin/dramatiq", "rivals.dramatiq", "--processes", str(processes), "--threads", str(CONCURRENCY)]]


def connect() -> None:
    broker.client.ping()


def submit(body: str) -> Message:
    return work[body].send()


def result(handle: Message, seconds: float) -> int:
    return handle.get_result(block=True, timeout=int(seconds * 1000))


def close() -> None:
    broker.close()
