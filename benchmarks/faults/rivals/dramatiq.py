"""Dramatiq: workers by its command line, jobs by `send`, results by its Results middleware."""

from dramatiq import Message, actor, set_broker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from dramatiq.results.errors import ResultError
from ledger import run

from rivals import URL

COMMAND = ["bin/dramatiq", "rivals.dramatiq", "--processes", "1", "--threads", "4"]
SILENCE = 60
NOTE = "defaults: heartbeat_timeout=60 s; maintenance by chance, about each thousandth command to the broker"

backend = RedisBackend(url=URL or "redis://localhost")
broker = RedisBroker(url=URL or "redis://localhost")
broker.add_middleware(Results(backend=backend))
set_broker(broker)


@actor(store_results=True)
def work(id: str, seconds: float, how: str) -> str:
    return run(id, seconds, how)


def message(id: str, *arguments: object) -> Message:
    return work.message(*arguments).copy(message_id=id)


def submit(ids: list[str], seconds: float, how: str) -> None:
    for id in ids:
        broker.enqueue(message(id, id, seconds, how))


def results(ids: list[str]) -> dict[str, str | None]:
    def result(id: str) -> str | None:
        try:
            return backend.get_result(message(id))
        except ResultError:
            return None

    return {id: result(id) for id in ids}
