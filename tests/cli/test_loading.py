"""`app:jobs` on the command line: what it finds, and the one line that is said when it does not."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import async_job
from async_job import Jobs
from async_job.cli.serving import read_settings
from async_job.errors import UsageError
from async_job.loading import find_target, folder_of, load_jobs

PROGRAM = """
from async_job.jobs import Jobs
jobs = Jobs(port=8000)
class site:
    jobs = Jobs(port=8001)
number = 5
"""


@pytest.fixture(autouse=True)
def modules_of_the_test_only() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, text: str, name: str = "program_under_test.py") -> None:
    (folder / name).write_text(text)


def test_a_module_of_the_current_folder_is_found(empty_folder: Path) -> None:
    write(empty_folder, PROGRAM)
    assert load_jobs("program_under_test:jobs").settings.port == 8000
    assert load_jobs("program_under_test:site.jobs").settings.port == 8001
    assert sys.path.count(str(empty_folder)) == 1


def test_the_current_folder_comes_first(empty_folder: Path) -> None:
    """Else a program called like something that is installed would never be found."""
    write(empty_folder, PROGRAM, "antigravity.py")
    assert load_jobs("antigravity:jobs").settings.port == 8000


def test_without_a_target_there_is_the_demo() -> None:
    assert list(load_jobs(None).functions) == ["demo"]


@pytest.mark.parametrize(
    "target", ["program_under_test", "program_under_test.py:jobs", ":jobs", "program:", "./program:jobs", ""]
)
def test_a_target_is_a_module_and_an_attribute(target: str) -> None:
    with pytest.raises(UsageError, match=r"write module:attribute, as in app:jobs for app\.py"):
        load_jobs(target)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module:jobs", "there is no module no_such_module in "),
        ("program_under_test.inner:jobs", "there is no module program_under_test.inner in "),
        ("program_under_test:job", "module program_under_test has no 'job'; it has jobs"),
        ("program_under_test:site.job", "has no 'site.job'"),
        ("program_under_test:number", "is of type int, and has to be a Jobs object"),
        ("json:jobs", "module json has no 'jobs'; it has no Jobs object at all"),
    ],
)
def test_what_is_not_there_is_named(empty_folder: Path, target: str, said: str) -> None:
    write(empty_folder, PROGRAM)
    with pytest.raises(UsageError) as caught:
        load_jobs(target)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\n1 / 0\n", "program_under_test.py, line 3: ZeroDivisionError: division by zero"),
        (
            "def f():\n    raise ValueError('two\\nlines')\nf()\n",
            "program_under_test.py, line 2: ValueError: two lines",
        ),
        (
            "import json\nimport not_installed_here\n",
            "line 2: ModuleNotFoundError: No module named 'not_installed_here'",
        ),
        ("from json import nothing\n", "line 1: ImportError: cannot import name 'nothing'"),
        ("import json\nx = = 1\n", "program_under_test.py, line 2: SyntaxError: "),
        ("import sys\nsys.exit('not now')\n", "line 2: SystemExit: not now"),
        (
            "from async_job.jobs import Jobs\njobs = Jobs()\n@jobs.job\ndef f(*args): ...\n",
            "program_under_test.py, line 3: job 'f': *args has no fixed JSON form; name each parameter",
        ),
    ],
)
def test_a_program_that_cannot_be_imported_is_told_with_its_line(empty_folder: Path, text: str, said: str) -> None:
    write(empty_folder, text)
    with pytest.raises(UsageError) as caught:
        load_jobs("program_under_test:jobs")
    message = str(caught.value)
    assert said in message
    assert message.startswith("program_under_test:jobs: ")
    assert "\n" not in message


def test_the_target_of_jobs_is_where_this_process_has_them_from(empty_folder: Path) -> None:
    write(empty_folder, "from async_job import Jobs\njobs = Jobs()\n@jobs.job\ndef f() -> None: ...\n")
    jobs = load_jobs("program_under_test:jobs")
    assert find_target(jobs) == "program_under_test:jobs"
    assert folder_of("program_under_test:jobs") == str(empty_folder)
    assert folder_of("async_job.core.job:State") == str(Path(async_job.__file__).parents[1])
    assert folder_of("async_job:Jobs") == str(Path(async_job.__file__).parents[1])
    assert folder_of("never_imported:jobs") == ""


def test_of_several_modules_the_one_with_the_functions_is_the_target(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_application = ModuleType("whole_application")
    monkeypatch.setitem(sys.modules, "whole_application", whole_application)
    write(empty_folder, "from async_job import Jobs\njobs = Jobs()\n@jobs.job\ndef f() -> None: ...\n")
    jobs = load_jobs("program_under_test:jobs")
    whole_application.tasks = jobs  # type: ignore[attr-defined]
    assert find_target(jobs) == "program_under_test:jobs"


@pytest.mark.parametrize(
    ("flags", "warned"), [({}, True), ({"queues": "default,mail"}, False), ({"workers": 0}, False)]
)
def test_functions_whose_queue_no_worker_will_serve_are_told_by_the_process_that_imports_them(
    empty_folder: Path, capfd: pytest.CaptureFixture[str], flags: dict[str, object], warned: bool
) -> None:
    write(empty_folder, "from async_job import Jobs\njobs = Jobs()\n@jobs.job(queue='mail')\ndef send(): ...\n")
    read_settings("program_under_test:jobs", flags)
    says = capfd.readouterr().err
    assert ("not served here" in says, says.count("\n")) == (warned, int(warned))


def test_jobs_in_no_module_have_no_target() -> None:
    with pytest.raises(UsageError, match="target='module:attribute'"):
        find_target(Jobs())
