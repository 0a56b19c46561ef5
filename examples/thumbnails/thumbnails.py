"""Three jobs: an album of a folder of pictures, the thumbnails of one picture, and a contact sheet of them all.

async-job serve thumbnails:jobs
"""

import asyncio
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

import pictures
import sheet
from async_job import Context, Jobs, NoResult
from pictures import Picture

jobs = Jobs()


@dataclass(frozen=True)
class Failure:
    """A file without thumbnails, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Album:
    """What an album job gives back; the files are in the folder it was told."""

    pictures: list[Picture]
    failed: list[Failure]
    near_duplicates: list[tuple[str, str, int]]
    contact_sheet: str


@jobs.job
async def album(context: Context, folder: str, into: str) -> Album:
    """Makes thumbnails of all files in a folder, and a contact sheet; broken files are listed, and stop nothing."""
    paths = await asyncio.to_thread(prepare, Path(folder), Path(into))
    steps = len(paths) + 1
    done: list[Picture] = []
    failed: list[Failure] = []

    async def one(path: Path) -> None:
        # When its worker dies, the album runs again, as the same job: under these keys it finds the thumbnail jobs that
        # are still under way, instead of starting them twice.
        # A name may be longer than a key, and have characters that no key may have.
        name = hashlib.sha256(os.fsencode(path.name)).hexdigest()
        started = await thumbnail.with_options(unique_key=f"{context.job_id}/{name}").submit(str(path), into)
        try:
            done.append(await started.result())
        except NoResult as ended:
            reason = ended.job.error.message if ended.job.error else str(ended)
            failed.append(Failure(path.name, reason.removeprefix(f"{path.name}: ")))
        context.progress(len(done) + len(failed), steps, path.name)

    async with asyncio.TaskGroup() as group:
        for path in paths:
            group.create_task(one(path))
    # They end in any order; the result has one of its own.
    done.sort(key=lambda picture: picture.name)
    failed.sort(key=lambda failure: failure.name)
    alike = pictures.near_duplicates(done)
    last = await contact_sheet.with_options(unique_key=f"{context.job_id}/sheet").submit(done, failed, alike, into)
    result = Album(done, failed, alike, await last.result())
    context.progress(steps, steps, result.contact_sheet)
    return result


def prepare(folder: Path, into: Path) -> list[Path]:
    """The files to work on, and a folder for what comes of them."""
    into.mkdir(parents=True, exist_ok=True)
    return sorted(path for path in folder.iterdir() if path.is_file())


# In a process of its own each, because they keep a core busy. A broken picture is not better when it is tried again.
@jobs.job(runner="process", max_attempts=1)
def thumbnail(path: str, into: str) -> Picture:
    """Three sizes, a hash of the look and the main colours of one picture."""
    source, folder = Path(path), Path(into)
    record = folder / f"{pictures.identify(source)}.json"
    # A job may run again although it was done: an album that starts over asks for all its pictures.
    if record.exists():
        return msgspec.json.decode(record.read_bytes(), type=Picture)
    picture = pictures.examine(source, folder)
    pictures.write(record, msgspec.json.encode(asdict(picture)))
    return picture


@jobs.job(runner="process")
def contact_sheet(done: list[Picture], failed: list[Failure], alike: list[tuple[str, str, int]], into: str) -> str:
    """All pictures of an album on one page. Gives the name of its file."""
    folder = Path(into)
    page = sheet.draw(done, [(failure.name, failure.reason) for failure in failed], alike, folder)
    pictures.write(folder / "contact-sheet.png", pictures.encode(page, "PNG", optimize=True))
    # What was cut off in the middle of writing; by now nobody else writes here.
    for part in folder.glob("*.part"):
        part.unlink()
    return "contact-sheet.png"
