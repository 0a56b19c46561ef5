"""The example by its one command: undisturbed, and with its worker killed halfway."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from async_job import Jobs, State
from support.supervised import alive, command_of, descendants, wait_until

RUN = Path(__file__).parents[2] / "examples" / "thumbnails" / "run.py"
FILES = 13

# Half a minute on two busy cores, and the first run is made in the set-up of a test.
pytestmark = [pytest.mark.realtime, pytest.mark.timeout(240)]


class Example:
    """One run of the command: what it prints, and what it leaves."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.lines: list[str] = []
        self.server = 0
        self.job = ""
        self._process = subprocess.Popen(
            [sys.executable, str(RUN), "--output", str(output)], stdout=subprocess.PIPE, text=True
        )

    def until(self, pattern: str) -> bool:
        """Reads on until a line begins so, or to the end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.match(r"server (\d+) ", line):
                self.server = int(found[1])
            if found := re.match(r"job (\S+)", line):
                self.job = found[1]
            if re.match(pattern, line):
                return True
        return False

    def finish(self) -> None:
        self.until(r"(?!)")
        assert self._process.wait(60) == 0, "\n".join(self.lines)

    def end(self) -> None:
        """Ends it, whatever state it is in."""
        self._process.terminate()
        self._process.wait(60)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def steps(self) -> list[int]:
        """How far the album was seen to be, each time that it moved."""
        return [int(found[1]) for line in self.lines if (found := re.match(rf" *(\d+) of {FILES + 1} ", line))]

    @property
    def table(self) -> list[str]:
        return [line for line in self.lines if line.startswith("  ") and " of 14 " not in line]

    @property
    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.output / "album").iterdir()}


@contextmanager
def example(output: Path) -> Iterator[Example]:
    run = Example(output)
    try:
        yield run
    finally:
        run.end()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, photograph: Callable[[str], Path]) -> Example:
    with example(tmp_path_factory.mktemp("example") / "output") as run:
        run.finish()
    return run


def test_its_progress_is_seen_to_move(undisturbed: Example) -> None:
    assert len(undisturbed.steps) >= 5
    assert undisturbed.steps == sorted(set(undisturbed.steps))


def test_it_is_real_work(undisturbed: Example) -> None:
    found = re.search(r"([\d.]+) s of CPU$", undisturbed.lines[-1])
    assert found
    assert float(found[1]) >= 5


def test_broken_files_fail_by_name_and_the_others_go_on(undisturbed: Example) -> None:
    failed = [line.split()[0] for line in undisturbed.table if " failed: " in line]
    assert failed == ["broken.jpg", "letter.jpg"]
    assert sum(name.endswith(".json") for name in undisturbed.files) == FILES - len(failed)
    assert sum(name.endswith(".webp") for name in undisturbed.files) == 3 * (FILES - len(failed))


def test_near_duplicates_are_found_also_when_one_is_turned(undisturbed: Example) -> None:
    alike = [line.split(" (")[0].strip() for line in undisturbed.table if " looks like " in line]
    assert alike == [
        "chelsea-turned.jpg looks like chelsea.png",
        "motorcycle_left.png looks like motorcycle_right.png",
    ]


def test_the_contact_sheet_is_where_it_says(undisturbed: Example) -> None:
    [line] = [line for line in undisturbed.lines if line.startswith("contact sheet: ")]
    path = Path(line.removeprefix("contact sheet: "))
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > sheet.height > 1000


def test_it_leaves_no_process_and_no_half_file(undisturbed: Example) -> None:
    assert undisturbed.server
    assert not alive(undisturbed.server)
    assert not [name for name in undisturbed.files if name.endswith(".part")]


async def test_a_worker_killed_halfway_changes_no_byte(undisturbed: Example, tmp_path: Path) -> None:
    with example(tmp_path / "output") as run:
        assert run.until(rf" *[4-9] of {FILES + 1} ")
        [worker] = [pid for pid in descendants(run.server) if "async_job.worker.process" in command_of(pid)]
        os.kill(worker, signal.SIGKILL)
        run.finish()
    assert run.files == undisturbed.files
    assert run.table == undisturbed.table
    wait_until(lambda: not alive(run.server), what="the end of the server")
    # The kill has hit the album itself: it ran a second time. It was alone in the worker, for its photographs are made
    # in processes of their own, so it is what is charged.
    async with Jobs(store=f"sqlite:///{run.output / 'jobs.db'}") as jobs:
        job = await jobs.get(run.job)
    assert (job.state, job.attempt, job.failures, job.crashes) == (State.SUCCEEDED, 2, 0, 1)
    assert [attempt.reason for attempt in job.attempts] == ["crashed"]
