"""RQ with its SimpleWorker, which does not fork for each job: workers by its command line, jobs by `enqueue`."""

import bodies
from redis import Redis
from rq import Queue
from rq.job import Job

from rivals import FASTEST, URL

NOTE = "SimpleWorker, one job at a time in each process" + ("; result_ttl=0: nothing is kept" if FASTEST else "")

redis = Redis.from_url(URL)
queue = Queue(connection=redis)
OPTIONS = {"result_ttl": 0} if FASTEST else {}


def workers(processes: int) -> list[list[str]]:
    return [["bin/rq", "worker", "--url", URL, "--worker-class", "rq.SimpleWorker", "--quiet"]] * processes


def connect() -> None:
    redis.ping()


def submit(body: str) -> Job:
    return queue.enqueue(bodies.SYNC[body], **OPTIONS)


def bulk(body: str, count: int) -> list[Job]:
    return queue.enqueue_many([Queue.prepare_data(bodies.SYNC[body], **OPTIONS) for _ in range(count)])


def result(handle: Job, seconds: float) -> int:
    found = handle.latest_result(timeout=int(seconds))
    return found.return_value


def close() -> None:
    redis.close()
