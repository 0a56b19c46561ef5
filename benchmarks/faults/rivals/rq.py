"""RQ: workers by its command line, jobs by `Queue.enqueue` with a `Retry`."""

from ledger import run
from redis import Redis
from rq import Queue, Retry
from rq.exceptions import NoSuchJobError
from rq.job import Job

from rivals import LONGEST, URL

COMMAND = ["bin/rq", "worker", "--url", URL, "--maintenance-interval", "10"]
SILENCE = 90
NOTE = "Retry(max=3) (none by default), maintenance-interval=10 s (600); a job's heartbeat is missed after 90 s"


def work(id: str, seconds: float, how: str) -> str:
    return run(id, seconds, how)


def submit(ids: list[str], seconds: float, how: str) -> None:
    queue = Queue(connection=Redis.from_url(URL))
    for id in ids:
        queue.enqueue(work, id, seconds, how, job_id=id, job_timeout=LONGEST + 5, retry=Retry(max=3))


def results(ids: list[str]) -> dict[str, str | None]:
    connection = Redis.from_url(URL)

    def result(id: str) -> str | None:
        try:
            latest = Job.fetch(id, connection=connection).latest_result()
        except NoSuchJobError:
            return None
        return latest.return_value if latest else None

    return {id: result(id) for id in ids}
