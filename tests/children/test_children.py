"""Child processes, with real processes and a real application: what a job does to its process stays there."""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from async_job.core.job import ErrorKind, Job, State
from async_job.core.lifecycle import Failed, Released
from async_job.jobs import Jobs
from async_job.settings import Settings
from async_job.worker.active import ActiveRun
from async_job.worker.children import ChildDied, ChildNotStarted, ChildRaised, Children
from async_job.worker.executor import Executor
from async_job.worker.runners import Runners

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts files and processes in /proc"),
]

APPLICATION = Path(__file__).parent / "application.py"

Make = Callable[..., Children]

numbers = itertools.count(1)


def make_run(type: str, /, **input: Any) -> ActiveRun:
    number = next(numbers)
    job = Job(
        id=f"job-{number}",
        type=type,
        input=msgspec.json.encode(input),
        state=State.RUNNING,
        created_at=1,
        scheduled_for=1,
        updated_at=1,
        attempt=3,
        token=f"w:{number}",
    )
    return ActiveRun(job, lambda: 42)


async def call(children: Children, type: str, /, *, fresh: bool = False, **input: Any) -> Any:
    return msgspec.json.decode(await children.run(make_run(type, **input), fresh=fresh))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(0.01)


def running(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of_this() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Children of the application above; after the test no process, thread or file of theirs is left."""
    (tmp_path / "children_app.py").write_bytes(APPLICATION.read_bytes())
    monkeypatch.chdir(tmp_path)
    made: list[Children] = []

    def make(
        most: int = 1, target: str | None = "children_app:jobs", recycle: int = 1_000, **settings: Any
    ) -> Children:
        children = Children(target, Settings(**settings), most, recycle)
        made.append(children)
        return children

    before = children_of_this()
    yield make
    for children in made:
        await children.close()
    assert children_of_this() == before


@pytest.fixture
def children(make: Make) -> Children:
    return make()


async def test_a_result_comes_back(children: Children) -> None:
    assert await call(children, "add", a=1) == 3
    assert await call(children, "add", a=1, b=5) == 6


async def test_arguments_have_their_types(children: Children) -> None:
    value = await call(
        children,
        "typed",
        size={"width": 3},
        point={"x": 1, "day": "2024-02-29"},
        model={"name": "m", "sizes": [1]},
    )
    assert value == {
        "size": "Size(width=3, height=1)",
        "point": "Point(x=1.0, day=datetime.date(2024, 2, 29))",
        "model": "Model(name='m', sizes=[1])",
    }


async def test_a_result_may_be_a_pydantic_model(children: Children) -> None:
    assert await call(children, "make_model", name="n") == {"name": "n", "sizes": [1, 2]}


async def test_a_coroutine_runs_in_the_child_too(children: Children) -> None:
    assert await call(children, "add_async", a=1) == [2, 3, True]
    assert await call(children, "add_async", a=2) == [3, 3, True]


async def test_the_built_in_demo_needs_no_application(make: Make) -> None:
    assert await call(make(target=None), "demo", seconds=0.0) is None


async def test_a_child_is_kept_and_reused(children: Children) -> None:
    pid, first = await call(children, "where")
    assert pid != os.getpid()
    assert first == 1
    assert await call(children, "where") == [pid, 2]


async def test_no_process_is_started_before_it_is_needed(make: Make) -> None:
    before = children_of_this()
    children = make(most=3)
    assert children_of_this() == before
    await call(children, "where")
    assert len(children_of_this() - before) == 1


async def test_a_child_is_replaced_after_its_number_of_jobs(make: Make) -> None:
    children = make(recycle=2)
    pids = [(await call(children, "where"))[0] for _ in range(5)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


async def test_at_most_so_many_run_at_once_and_the_others_wait(make: Make) -> None:
    children = make(most=3)
    pids = await asyncio.gather(*[call(children, "wait_where", seconds=0.2) for _ in range(7)])
    assert len(set(pids)) == 3


async def test_three_run_at_the_same_time(make: Make) -> None:
    children = make(most=3)
    runs = [make_run("watch") for _ in range(3)]
    tasks = [asyncio.create_task(children.run(run)) for run in runs]
    await until(lambda: len(children_of_this()) >= 3)
    done, _ = await asyncio.wait(tasks, timeout=0.3)
    assert not done
    for task in tasks:
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))


async def test_a_fresh_child_is_beside_the_others_and_ends(make: Make) -> None:
    children = make(most=1)
    warm, _ = await call(children, "where")
    waiting = asyncio.create_task(call(children, "wait_where", seconds=0.5))
    fresh, calls = await call(children, "where", fresh=True)
    again, _ = await call(children, "where", fresh=True)
    assert len({warm, fresh, again}) == 3
    assert calls == 1
    assert await waiting == warm
    await until(lambda: not running(fresh) and not running(again))


async def test_a_fresh_child_runs_functions_of_every_runner(children: Children) -> None:
    assert await call(children, "in_thread", fresh=True) is True
    assert await call(children, "on_loop", fresh=True) == "on loop"
    assert await call(children, "add", fresh=True, a=1) == 3


async def test_an_exception_comes_with_its_traceback(children: Children) -> None:
    with pytest.raises(ChildRaised) as raised:
        await call(children, "fail", message="no luck")
    error = raised.value.error
    assert (error.kind, error.type, error.message) == (ErrorKind.APPLICATION, "ValueError", "no luck")
    assert error.retryable
    assert "children_app.py" in error.traceback
    assert "raise ValueError(message)" in error.traceback
    assert error.at > 0
    assert await call(children, "add", a=1) == 3


def fail(message: str) -> None:
    raise ValueError(message)


async def fail_async(message: str) -> None:
    raise ValueError(message)


@pytest.mark.parametrize(
    ("function", "runner"), [(fail_async, "async"), (fail, "thread"), (fail, "process"), (fail_async, "process")]
)
@pytest.mark.parametrize("has_children", [True, False])
async def test_a_traceback_begins_with_the_function(
    children: Children, function: Callable[..., Any], runner: Any, has_children: bool
) -> None:
    jobs = Jobs(store="memory://")
    jobs.job(runner=runner)(function)
    runners = Runners(1, 1_000, children if has_children else None)
    outcome = await Executor(jobs.functions, runners.run, lambda: 42).run(make_run(function.__name__, message="no"))
    await runners.close()
    assert isinstance(outcome, Failed)
    head, frame, *_ = outcome.error.traceback.splitlines()
    assert head == "Traceback (most recent call last):"
    assert frame.endswith(f", in {function.__name__}")
    assert outcome.error.traceback.count("  File ") == 1


async def test_a_traceback_without_the_function_is_kept_whole() -> None:
    jobs = Jobs(store="memory://")
    jobs.job(runner="thread")(fail)
    runners = Runners(1, 1_000, None)
    await runners.close()
    outcome = await Executor(jobs.functions, runners.run, lambda: 42).run(make_run("fail", message="no"))
    assert isinstance(outcome, Failed)
    assert "cannot schedule new futures" in outcome.error.message
    assert "in _run_in_thread\n" in outcome.error.traceback


@pytest.mark.parametrize("type", ["leave", "leave_async"])
async def test_sys_exit_ends_the_job_and_not_the_process(children: Children, type: str) -> None:
    pid, _ = await call(children, "where")
    with pytest.raises(ChildRaised) as raised:
        await call(children, type, code=4)
    assert raised.value.error.type == "SystemExit"
    assert (await call(children, "where"))[0] == pid
    assert await call(children, "add_async", a=1) == [2, 3, True]


async def test_a_function_that_cancels_itself_has_raised(children: Children) -> None:
    with pytest.raises(ChildRaised) as raised:
        await call(children, "cancel_itself")
    assert raised.value.error.type == "asyncio.exceptions.CancelledError"


async def test_an_input_that_does_not_fit_is_named(children: Children) -> None:
    with pytest.raises(ChildRaised) as raised:
        await call(children, "add", a="one")
    error = raised.value.error
    assert error.kind is ErrorKind.INVALID_INPUT
    assert not error.retryable
    assert "$.a" in error.message


@pytest.mark.parametrize("type", ["wrong", "unwritable"])
async def test_a_result_that_is_none_is_named(children: Children, type: str) -> None:
    with pytest.raises(ChildRaised) as raised:
        await call(children, type)
    assert raised.value.error.kind is ErrorKind.INVALID_RESULT


async def test_a_result_may_be_as_large_as_the_setting_says(make: Make) -> None:
    children = make(max_result=3_000_000)
    assert len(await call(children, "big", size=2_999_998)) == 2_999_998
    with pytest.raises(ChildRaised) as raised:
        await call(children, "big", size=2_999_999)
    assert raised.value.error.kind is ErrorKind.INVALID_RESULT
    assert "max_result" in raised.value.error.message


async def test_an_input_with_newlines_is_one_input(children: Children) -> None:
    active = make_run("add")
    active.job = msgspec.structs.replace(active.job, input=b'{\n "a": 1,\r\n "b": 2\n}\n')
    assert await children.run(active) == b"3"


async def test_progress_and_log_lines_arrive(children: Children) -> None:
    active = make_run("report", steps=30)
    await children.run(active)
    progress, lines = active.take()
    assert progress is not None
    assert (progress.current, progress.total, progress.message) == (30, 30, "step 30")
    assert [line.message for line in lines] == [f"did {step}" for step in range(1, 31)]
    assert {line.at for line in lines} == {42}


async def test_progress_and_log_lines_arrive_while_the_job_runs(children: Children) -> None:
    active = make_run("report_and_wait")
    task = asyncio.create_task(children.run(active))
    await until(lambda: active.has_news)
    progress, lines = active.take()
    assert not task.done()
    assert progress is not None
    assert [line.message for line in lines] == ["first"]
    task.cancel()
    await asyncio.wait([task])


async def test_odd_words_and_many_words_do_no_harm(children: Children) -> None:
    active = make_run("odd_words")
    assert await children.run(active) == b"null"
    progress, lines = active.take()
    assert progress is not None
    assert progress.message == "?"
    gap, *kept, last = (line.message for line in lines)
    assert "lines were dropped here" in gap
    # The child may have dropped some of its own, and tells so where they were.
    assert {line for line in kept if "dropped here" not in line} == {"\x01" * 10_000}
    assert 20 < len(kept) < 30
    assert last == ("a\nb\x00 ?" + "é" * 20_000)[:10_000]


async def test_what_a_job_says_after_its_end_is_not_the_next_jobs(children: Children) -> None:
    assert await call(children, "talk_later") == "done"
    active = make_run("wait_where", seconds=0.3)
    await children.run(active)
    assert not active.has_news


async def test_context_variables_are_the_jobs_own(children: Children) -> None:
    assert await call(children, "colours") == "none"
    assert await call(children, "colours") == "none"


async def test_a_child_starts_with_a_clean_environment(children: Children) -> None:
    assert await call(children, "environment") == [False, True, True]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
async def test_a_killed_process_is_told_with_its_signal(children: Children, number: signal.Signals) -> None:
    with pytest.raises(ChildDied) as died:
        await call(children, "kill_itself", number=int(number))
    assert died.value.cause == f"killed by {number.name}"
    assert await call(children, "add", a=1) == 3


async def test_a_segmentation_fault_is_told(children: Children) -> None:
    with pytest.raises(ChildDied) as died:
        await call(children, "segfault")
    assert died.value.cause == "killed by SIGSEGV"
    assert await call(children, "add", a=1) == 3


@pytest.mark.parametrize("code", [0, 3])
async def test_an_exit_is_told_with_its_code(children: Children, code: int) -> None:
    with pytest.raises(ChildDied) as died:
        await call(children, "end_at_once", code=code)
    assert died.value.cause == f"exited with code {code}"
    assert await call(children, "add", a=1) == 3


async def test_a_death_is_seen_although_a_forked_process_lives_on(children: Children) -> None:
    started = time.monotonic()
    with pytest.raises(ChildDied) as died:
        await call(children, "fork_and_die")
    assert died.value.cause == "killed by SIGKILL"
    # Far below the three seconds of the process that lives on.
    assert time.monotonic() - started < 2.5


async def test_a_child_that_closes_its_socket_is_killed(children: Children) -> None:
    with pytest.raises(ChildDied) as died:
        await call(children, "close_all")
    assert "socket" in died.value.cause
    assert await call(children, "add", a=1) == 3


async def test_a_child_that_writes_rubbish_to_its_socket_is_killed(children: Children) -> None:
    with pytest.raises(ChildDied) as died:
        await call(children, "write_everywhere")
    assert "socket" in died.value.cause
    assert await call(children, "add", a=1) == 3


async def test_printing_harms_nothing(children: Children, capfd: pytest.CaptureFixture[str]) -> None:
    assert await call(children, "print_garbage") == "fine"
    assert await call(children, "add", a=1) == 3
    printed, errors = capfd.readouterr()
    assert '{"type":"Returned"' in printed
    assert '{"type":"Returned"' in errors


async def test_an_idle_child_that_was_killed_is_replaced(children: Children) -> None:
    pid, _ = await call(children, "where")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{pid}").exists())
    assert (await call(children, "where"))[1] == 1


@pytest.mark.parametrize(
    ("application", "cause"),
    [
        ("import no_such_module", "no_such_module"),
        ("raise RuntimeError('broken on import')", "broken on import"),
        ("import os; os._exit(9)", "exited with code 9"),
    ],
)
async def test_an_application_that_cannot_be_imported_is_told(
    make: Make, tmp_path: Path, application: str, cause: str
) -> None:
    (tmp_path / "broken_app.py").write_text(application)
    children = make(target="broken_app:jobs")
    with pytest.raises(ChildNotStarted, match=cause) as died:
        await call(children, "add", a=1)
    assert died.value.cause.startswith("could not start")
    executor = Executor({"add": object()}, lambda _, active: children.run(active), lambda: 0)  # type: ignore[dict-item]
    outcome = await executor.run(make_run("add", a=1))
    assert isinstance(outcome, Released), "it is not the job's fault"
    assert (outcome.reason, outcome.delay) == ("no_process", 5_000)
    assert outcome.error is not None
    assert cause in outcome.error.message


async def test_an_application_whose_import_does_not_end_is_told(make: Make, tmp_path: Path) -> None:
    (tmp_path / "endless_app.py").write_text("import time; time.sleep(60)")
    with pytest.raises(ChildNotStarted, match="could not start: it gave no sign of life for 1 s"):
        await call(make(target="endless_app:jobs", stall_timeout=1.0), "add", a=1)


async def test_the_time_of_a_job_does_not_run_while_it_waits_for_a_process(children: Children) -> None:
    first = asyncio.create_task(call(children, "wait_where", seconds=1.5))
    await asyncio.sleep(0)
    active = make_run("add", a=1)
    active.job = msgspec.structs.replace(active.job, timeout=1_000)
    # Its worker takes it for one that runs at once.
    active.start_clock()
    deadlines: list[float | None] = []
    active.on_clock = lambda: deadlines.append(active.hard_deadline)
    assert await children.run(active) == b"3"
    active.stop_clock()
    await first
    assert not active.timed_out
    assert [deadline is None for deadline in deadlines] == [True, False, True]


async def test_what_is_in_memory_is_not_the_childs_to_write_to(make: Make) -> None:
    with pytest.raises(ChildRaised) as raised:
        await call(make(store="memory://"), "submit_another")
    assert raised.value.error.type == "async_job.errors.ForkError"
    assert f"memory:// belongs to process {os.getpid()}" in raised.value.error.message


async def test_an_unrecoverable_error_is_not_to_be_tried_again(children: Children) -> None:
    for type, retryable in (("give_up", False), ("fail", True)):
        with pytest.raises(ChildRaised) as raised:
            await call(children, type, **({"message": "x"} if retryable else {}))
        assert raised.value.error.retryable is retryable


async def test_a_child_that_takes_too_much_memory_is_killed(make: Make) -> None:
    children = make(worker_memory_limit=150 << 20)
    assert await call(children, "take_memory", mib=10, seconds=0) == 10 << 20
    for fresh in (False, True):
        with pytest.raises(ChildDied) as died:
            await call(children, "take_memory", fresh=fresh, mib=300, seconds=60)
        assert (died.value.reason, "memory" in died.value.cause) == ("memory", True)
    with pytest.raises(ChildDied) as died:
        await call(children, "kill_itself", number=9)
    assert died.value.reason == ""


async def test_a_child_that_holds_too_much_memory_gets_no_other_job(make: Make) -> None:
    children = make(worker_memory_limit=150 << 20)
    pid, _ = await call(children, "where")
    # It may be looked at before its job has ended.
    with contextlib.suppress(ChildDied):
        await call(children, "keep_memory", mib=200)
    assert (await call(children, "where"))[0] != pid


async def begin(children: Children, active: ActiveRun) -> asyncio.Task[bytes]:
    """The run, when its function has said something."""
    task = asyncio.create_task(children.run(active))
    await until(lambda: active.has_news or task.done())
    assert not task.done(), task
    return task


async def cancelled_after(task: asyncio.Task[bytes]) -> float:
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - started


async def test_a_plain_function_sees_that_it_is_cancelled(children: Children) -> None:
    pid, _ = await call(children, "where")
    task = asyncio.create_task(children.run(make_run("watch")))
    await asyncio.sleep(0.1)
    await cancelled_after(task)
    # It returned by itself, so there was nothing to kill.
    assert (await call(children, "where"))[0] == pid


async def test_a_coroutine_is_cancelled_and_cleans_up(children: Children, tmp_path: Path) -> None:
    pid, _ = await call(children, "where")
    task = await begin(children, make_run("sleep_async", folder=str(tmp_path)))
    await cancelled_after(task)
    assert (tmp_path / "cleaned").exists()
    assert (await call(children, "where"))[0] == pid


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_function_that_does_not_look_is_killed(children: Children, deaf: bool) -> None:
    pid, _ = await call(children, "where")
    task = await begin(children, make_run("loop_for_ever", deaf=deaf))
    assert await cancelled_after(task) < (10 if deaf else 1.9)
    assert not running(pid)
    assert (await call(children, "where"))[1] == 1


async def test_a_coroutine_that_swallows_its_cancellation_is_killed(children: Children) -> None:
    pid, _ = await call(children, "where")
    task = await begin(children, make_run("swallow"))
    await cancelled_after(task)
    assert not running(pid)
    assert await call(children, "add", a=1) == 3


async def test_what_a_killed_job_has_started_is_killed_too(children: Children) -> None:
    active = make_run("start_a_process")
    task = await begin(children, active)
    _, lines = active.take()
    pid = int(lines[0].message)
    assert running(pid)
    await cancelled_after(task)
    await until(lambda: not running(pid))


async def test_a_second_cancel_does_not_wait(children: Children) -> None:
    task = await begin(children, make_run("loop_for_ever", deaf=True))
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    assert await cancelled_after(task) < 0.4
    assert await call(children, "add", a=1) == 3


async def test_a_cancel_while_it_starts_leaves_nothing(make: Make) -> None:
    before = children_of_this()
    children = make(most=1)
    for pause in (0.0, 0.001, 0.02, 0.1):
        task = asyncio.create_task(children.run(make_run("add", a=1)))
        await asyncio.sleep(pause)
        await cancelled_after(task)
    assert children_of_this() == before
    assert await call(children, "add", a=1) == 3


async def test_a_cancel_while_it_waits_for_a_free_child_takes_none(children: Children) -> None:
    first = asyncio.create_task(call(children, "wait_where", seconds=0.5))
    await asyncio.sleep(0)
    second = asyncio.create_task(children.run(make_run("add", a=1)))
    await asyncio.sleep(0.1)
    await cancelled_after(second)
    pid = await first
    assert (await call(children, "where"))[0] == pid


async def test_closing_leaves_no_file_process_or_thread(make: Make) -> None:
    # The first start opens what the event loop keeps for all later ones.
    await make().close()
    warm_up = make()
    await call(warm_up, "add", a=1)
    await warm_up.close()
    files, processes, threads = open_files(), children_of_this(), threading.active_count()
    children = make(most=3)
    await asyncio.gather(*[call(children, "wait_where", seconds=0.05) for _ in range(3)])
    with pytest.raises(ChildDied):
        await call(children, "end_at_once", code=1)
    with pytest.raises(ChildDied):
        await call(children, "kill_itself", fresh=True, number=9)
    await call(children, "add", fresh=True, a=1)
    await children.close()
    await until(lambda: threading.active_count() <= threads)
    assert open_files() <= files
    assert children_of_this() == processes


async def test_closing_ends_what_runs(children: Children) -> None:
    task = await begin(children, make_run("loop_for_ever", deaf=True))
    await children.close()
    with pytest.raises(asyncio.CancelledError):
        await task


PARENT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from children.test_children import make_run
from async_job.settings import Settings
from async_job.worker.children import Children

async def main():
    children = Children("children_app:jobs", Settings(), 2)
    runs = [make_run("loop_for_ever"), make_run("swallow")]
    tasks = [asyncio.create_task(children.run(run)) for run in runs]
    while not all(run.has_news for run in runs):
        await asyncio.sleep(0.01)
    print("running", flush=True)
    await asyncio.gather(*tasks)

asyncio.run(main())
"""


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child} | descendants(child)
    return found


async def test_children_die_with_the_process_that_started_them(make: Make) -> None:
    program = PARENT.format(tests=str(Path(__file__).parents[1]))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        assert await parent.stdout.readline() == b"running\n"
        children = {pid for pid in descendants(parent.pid) if b"async_job.worker.child" in command_line(pid)}
        assert len(children) == 2
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: not any(running(pid) for pid in children))


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
