"""Cancels that race with a job's completion, its failure, and its rescue from a worker that was killed."""

import asyncio
import random
from collections import Counter

import httpx
from msgspec import Struct

from async_job.core.job import Job, State
from async_job.ids import new_id
from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client
from support.supervised import Program

LIMIT = 300.0
PAIRS = 5_000
RACERS = 8
CONCURRENCY = 100
SECONDS = 0.05
"""How long a job runs whose end is raced with."""
NUDGE = 1.05
"""By so much a cancel comes later when it was too early, and sooner when it was too late: most hit the end."""
HANDED_BACK = 0.05
"""Seconds after the death of a worker within which its supervisor has handed its jobs back, mostly."""
ANSWERS = {200: "cancelled", 202: "cancelling", 409: "already finished"}


class Told(Struct, frozen=True):
    """What was answered to a cancel: the status, and of the job then its attempt and state, if it was told."""

    race: str
    status: int
    attempt: int
    state: str


class Races:
    """Sends the cancels, and keeps what was answered to each."""

    def __init__(self, scene: Scene, client: Client, http: httpx.AsyncClient) -> None:
        self.told: dict[str, Told] = {}
        self._scene = scene
        self._client = client
        self._http = http

    async def with_ends(self, race: str, pairs: int, type: str, **options: int) -> None:
        """A few at once, each cancelled about when the ones before were at their end."""
        aim = 1.5 * SECONDS

        async def race_on() -> None:
            nonlocal aim
            while self.count(race) < pairs:
                id = await self._client.submit(seconds=SECONDS, type=type, id=new_id(), **options)
                await asyncio.sleep(aim)
                told = await self._cancel(race, id)
                early = told.status == 202 or (told.status == 200 and told.attempt == 0)
                aim = aim * NUDGE if early else aim / NUDGE

        await asyncio.gather(*(race_on() for _ in range(RACERS)))

    async def with_rescue(self, race: str, program: Program, jobs: int) -> None:
        """A worker of the program is killed, or all of it (`lapse`), and what they held is cancelled all around the
        time when it is handed back."""
        lease, renew, patience = self._scene.scale.lease, self._scene.scale.renew, self._scene.scale.patience
        ids = [await self._client.submit(seconds=60.0, id=new_id()) for _ in range(jobs)]
        runs = [await self._client.wait_for_start(id, timeout=patience) for id in ids]
        if race == "lapse":
            victims = program.workers()
            within = (lease - renew, lease + min(2.0, lease))
            self._scene.note("fault", "SIGKILL", *victims)
            program.kill_all()
            self._scene.note("fault", "SIGKILL", *victims)
        else:
            victims = program.workers()[:1]
            within = (0.0, HANDED_BACK)
            self._scene.kill(*victims)
        await asyncio.gather(
            *(self._cancel(race, run.id, random.uniform(*within)) for run in runs if run.pid in victims),
            *(self._cancel("", run.id, within[1]) for run in runs if run.pid not in victims),
        )
        await self._client.wait_for_all(patience)

    def count(self, race: str) -> int:
        return sum(told.race == race for told in self.told.values())

    async def _cancel(self, race: str, id: str, after: float = 0.0) -> Told:
        await asyncio.sleep(after)
        answer = await self._http.post(f"/v1/jobs/{id}/cancel")
        document = answer.json()
        told = Told(race, answer.status_code, document.get("attempt", 0), document.get("state", ""))
        self.told[id] = told
        return told


async def run(scene: Scene) -> RowResult:
    share = scene.scale.times(PAIRS, short=60) // 4
    jobs = 2 * CONCURRENCY if scene.scale.full else 20
    settings = scene.settings(concurrency=CONCURRENCY)
    async with scene.client() as client:
        with scene.program(settings, serve=True) as program:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{program.port}", trust_env=False) as http:
                races = Races(scene, client, http)
                while races.count("lapse") < share // 5:
                    with scene.program(settings) as other:
                        await races.with_rescue("lapse", other, jobs)
                while races.count("crash") < share:
                    await races.with_rescue("crash", program, jobs)
                await races.with_ends("completion", share, "work")
                await races.with_ends("failure", share, "fail", max_attempts=1)
                await races.with_ends("retry", share, "fail")
            await client.wait_for_all(scene.scale.patience)
        wrong = _disagreeing(races.told, await client.jobs(), client)
        scene.demand(not wrong, f"{len(wrong)} answers disagree with the end: {wrong[:3]}")
        may_end = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        extra = {"pairs": len(races.told), "disagree": len(wrong), "answers": _counted(races.told)}
        return await scene.result(client, may_end=may_end, extra=extra)


def _disagreeing(told: dict[str, Told], jobs: list[Job | None], client: Client) -> list[str]:
    last_start: dict[str, int] = {}
    for line in client.book.lines:
        if line.what == "start":
            last_start[line.id] = max(line.attempt, last_start.get(line.id, 0))
    stored = {job.id: job for job in jobs if job is not None}
    return [
        f"{id}: {answer}, and then {(stored[id].state, stored[id].life) if id in stored else 'it was gone'}"
        for id, answer in told.items()
        if id not in stored or not _agrees(answer, stored[id], last_start.get(id, 0))
    ]


def _agrees(answer: Told, job: Job, last_start: int) -> bool:
    match answer.status:
        case 200:
            return job.state is State.CANCELLED and last_start <= answer.attempt == job.attempt
        case 202:
            # It may have come to its end before it heard of the cancel; it does not start again.
            ended = job.state in (State.CANCELLED, State.SUCCEEDED)
            return ended and last_start <= answer.attempt == job.attempt
        case 409:
            return job.state == answer.state and job.cancel_requested_at is None
        case _:
            return False


def _counted(told: dict[str, Told]) -> dict[str, dict[str, int]]:
    """How often each was answered, by what was raced with."""
    counts: dict[str, Counter[str]] = {}
    for one in told.values():
        again = " a later attempt" if one.attempt > 1 else ""
        counts.setdefault(one.race or "none", Counter())[ANSWERS.get(one.status, str(one.status)) + again] += 1
    return {race: dict(count) for race, count in counts.items()}
