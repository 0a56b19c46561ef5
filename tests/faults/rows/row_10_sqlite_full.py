"""SQLite that may not grow, by `max_page_count` and by a limit on files: submits get 507, nothing that runs is lost."""

import asyncio
import os
import resource
from collections.abc import Callable
from pathlib import Path

import apsw

from async_job.store.sqlite.transaction import RESERVE
from faults.result import RowResult, joined
from faults.scene import Scene
from support.planted import VARIABLE
from support.poster import Poster
from support.supervised import Program

STORES = ("sqlite",)
JOBS = 100
LIMIT = 180.0
LARGE, SMALL = 50_000, 10
REFUSALS = 20
"""So many in a row, and it is full."""


async def run(scene: Scene) -> RowResult:
    parts = {name: scene.part(name) for name in ("pages", "file")}
    os.environ[VARIABLE] = "few_pages"
    pages = await _part(parts["pages"], _no_more_pages, _all_pages, reserve=False)
    del os.environ[VARIABLE]
    file = await _part(parts["file"], _no_larger_file, _any_file, reserve=True)
    return joined({"pages": pages, "file": file})


async def _part(
    scene: Scene, fill: Callable[[Scene, Program, int], None], empty: Callable[[Scene, Program], None], reserve: bool
) -> RowResult:
    """`reserve`: submits are refused while there is still room for the outcomes of what runs."""
    jobs = scene.scale.times(JOBS, short=20)
    settings = scene.settings(workers=1, concurrency=jobs)
    async with scene.client() as client:
        with scene.program(settings, "support.poison:jobs", serve=True) as program:
            ids = [await client.submit(seconds=3 * scene.scale.lease) for _ in range(jobs)]
            for id in ids:
                await client.wait_for_start(id)
            fill(scene, program, RESERVE if reserve else 0)
            async with Poster(program.port, scene.history, scene.scale.patience) as poster:
                accepted = [await _post_until_full(poster, size) for size in (LARGE, SMALL)]
                held = ids
                if reserve:
                    await client.wait_for_all(3 * scene.scale.lease + scene.scale.patience)
                    kept = [job.id for job in await client.jobs() if job is not None and not job.done]
                    scene.demand(not kept, f"{len(kept)} outcomes did not go through")
                    # Now there is none for those either.
                    held = [await client.submit(seconds=scene.scale.lease) for _ in range(jobs // 2)]
                    for id in held:
                        await client.wait_for_start(id, timeout=4 * scene.scale.lease + scene.scale.patience)
                    fill(scene, program, 0)
                    await _post_until_full(poster, SMALL)
                # All of them come to their end meanwhile; how many outcomes still find room is a matter of luck.
                await asyncio.sleep(3.5 * scene.scale.lease)
                stored = sum(job is not None and job.done for job in await client.store.get(held))
                empty(scene, program)
                await client.wait_for_all(3 * scene.scale.lease + scene.scale.patience)
                await poster.submit()
                scene.demand(set(poster.refusals) <= {507}, f"submits were refused by {set(poster.refusals)}")
                refused = len(poster.refusals)
            await client.wait_for_all(scene.scale.patience)
            scene.demand("Traceback" not in program.text(), "a process failed")
        again = [job.id for job in await client.store.get(ids) if job is not None and job.attempt > 1]
        scene.demand(not again, f"{len(again)} jobs were taken over")
        scene.demand(_integrity(scene) == "ok", f"integrity_check: {_integrity(scene)}")
        return await scene.result(
            client, extra={"accepted": accepted, "refused": refused, "ended_while_full": f"{stored} of {len(held)}"}
        )


async def _post_until_full(poster: Poster, size: int) -> int:
    """How many were accepted before so many were refused one after the other."""
    accepted, refused = 0, 0
    while refused < REFUSALS:
        if await poster.try_submit("padded", {"seconds": 0.05, "padding": "x" * size}):
            accepted, refused = accepted + 1, 0
        else:
            refused += 1
    return accepted


def _file(scene: Scene) -> Path:
    return Path(scene.url.removeprefix("sqlite:///"))


def _no_more_pages(scene: Scene, program: Program, reserve: int) -> None:
    connection = apsw.Connection(str(_file(scene)), flags=apsw.SQLITE_OPEN_READONLY)
    (scene.folder / "pages").write_text(str(connection.pragma("page_count")))
    connection.close()


def _all_pages(scene: Scene, program: Program) -> None:
    (scene.folder / "pages").unlink()


def _no_larger_file(scene: Scene, program: Program, reserve: int) -> None:
    """1 MB for submits, besides the reserve."""
    file = _file(scene)
    largest = max(part.stat().st_size for part in (file, file.with_name(f"{file.name}-wal")))
    _limit(program, largest + (reserve and reserve + 1_000_000))


def _any_file(scene: Scene, program: Program) -> None:
    _limit(program, resource.RLIM_INFINITY)


def _limit(program: Program, bytes: int) -> None:
    for pid in (program.pid, *program.children()):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes, resource.RLIM_INFINITY))


def _integrity(scene: Scene) -> str:
    connection = apsw.Connection(str(_file(scene)), flags=apsw.SQLITE_OPEN_READONLY)
    answer = str(connection.pragma("integrity_check"))
    connection.close()
    return answer
