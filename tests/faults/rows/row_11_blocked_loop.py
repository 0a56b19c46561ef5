"""An event loop that is blocked for three leases, by Python code and by a C call that holds the interpreter."""

import json
from collections.abc import Iterator
from typing import Any

from faults.result import RowResult
from faults.scene import Scene
from support.bookkeeping import Client
from support.supervised import Program

LEASES = 3.0
WARNING = 0.5
KINDS = ("block_the_loop", "hold_the_interpreter")
BLOCKED, TURNS = "the event loop is blocked", "the event loop turns again"


async def run(scene: Scene) -> RowResult:
    """A second program would take over whatever it may."""
    settings = scene.settings(workers=1, loop_warning=WARNING)
    seconds = LEASES * scene.scale.lease
    async with scene.client() as client:
        programs = [scene.program(settings, "support.poison:jobs") for _ in range(2)]
        with programs[0], programs[1]:
            for kind in KINDS:
                await _block(scene, client, kind, seconds)
                warnings = [line for program in programs for line in _logged(program) if kind in line.get("stack", "")]
                scene.demand(warnings, f"{kind}: no warning with its stack")
            turns = [line["blocked_seconds"] for program in programs for line in _logged(program, TURNS)]
            scene.demand(
                sum(turned >= 0.9 * seconds for turned in turns) == len(KINDS),
                f"it was not told how long the loop was blocked: {turns}",
            )
        taken_over = [job.id for job in await client.jobs() if job is not None and job.attempt != 1]
        scene.demand(not taken_over, f"{len(taken_over)} jobs were taken over: {taken_over}")
        return await scene.result(client, extra={"takeovers": len(taken_over), "blocked": turns})


async def _block(scene: Scene, client: Client, kind: str, seconds: float) -> None:
    """Both programs run neighbours meanwhile; some were claimed by the worker that is blocked."""
    neighbours = [await client.submit(seconds=1.5 * seconds) for _ in range(4)]
    for id in neighbours:
        await client.wait_for_start(id)
    await client.submit(seconds=seconds, type=kind)
    await client.wait_for_all(1.5 * seconds + scene.scale.patience)


def _logged(program: Program, event: str = BLOCKED) -> Iterator[dict[str, Any]]:
    """The lines of a program's log that tell of the event."""
    for line in program.text().splitlines():
        if event in line and line.startswith("{"):
            yield json.loads(line)
