"""Huey: consumers by its command line. It says that it does not acknowledge: what a killed consumer ran is lost."""

from huey import RedisHuey
from huey.exceptions import TaskException
from ledger import run

from rivals import URL

COMMAND = ["bin/huey_consumer", "rivals.huey.huey", "--workers", "4"]
SILENCE = None
NOTE = "delivers at most once, as its documentation says; retries=3 (0 by default)"

huey = RedisHuey("faults", url=URL or "redis://localhost")


@huey.task(retries=3)
def work(id: str, seconds: float, how: str) -> str:
    return run(id, seconds, how)


def submit(ids: list[str], seconds: float, how: str) -> None:
    for id in ids:
        huey.enqueue(work.s(id, seconds, how, id=id))


def results(ids: list[str]) -> dict[str, str | None]:
    def result(id: str) -> str | None:
        try:
            return huey.result(id, preserve=True)
        except TaskException:
            return None

    return {id: result(id) for id in ids}
