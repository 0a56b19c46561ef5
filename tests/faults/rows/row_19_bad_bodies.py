"""200 bad bodies, while others submit: none is taken, and none is an error of the server's."""

import asyncio
from collections import Counter

import httpx

from faults.result import RowResult
from faults.scene import Scene
from support.bad_bodies import BODIES, CASES
from support.poster import Poster

JSON = {"Content-Type": "application/json"}


async def run(scene: Scene) -> RowResult:
    statuses: Counter[int] = Counter()
    async with scene.client() as client:
        with scene.program(serve=True) as program:
            [server] = program.servers()
            address = f"http://127.0.0.1:{program.port}"
            async with (
                Poster(program.port, scene.history, scene.scale.patience) as poster,
                httpx.AsyncClient(base_url=address, trust_env=False, timeout=30.0) as http,
            ):
                posting = asyncio.create_task(poster.submit_on(0.05))
                for path, name in CASES:
                    answer = await http.post(path, content=BODIES[name], headers=JSON)
                    statuses[answer.status_code] += 1
                    is_problem = answer.headers["content-type"] == "application/problem+json"
                    refused = 400 <= answer.status_code < 500 and is_problem
                    scene.demand(refused, f"{path}, {name}: {answer.status_code} {answer.text[:100]}")
                poster.finish()
                await posting
                scene.demand(not poster.repeats, f"{poster.repeats} requests of others failed: {poster.server_errors}")
            await client.wait_for_all(scene.scale.patience)
            scene.demand(program.servers() == [server], "the HTTP process was replaced")
            scene.demand("Traceback" not in program.text(), "there was an error in the server")
        counts = await client.store.counts()
        sent = sum(line.what == "ok" for line in client.book.lines)
        scene.demand(sum(counts.states.values()) == sent, f"{counts.states}: more than the {sent} that were sent")
        return await scene.result(
            client, extra={"bodies": len(CASES), "statuses": {str(status): n for status, n in statuses.items()}}
        )
