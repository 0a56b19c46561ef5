"""``async-job``: the commands and their options. What they do is imported when one is run, so that help comes fast."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from async_job.cli import keys, webhooks
from async_job.cli.parameters import (
    App,
    AsJson,
    Concurrency,
    Delay,
    DirectStore,
    Id,
    Labels,
    MaxAttempts,
    OnConflict,
    Priority,
    Queue,
    Queues,
    SettingsOf,
    StartWithin,
    StoreUrl,
    Target,
    Timeout,
    UniqueKey,
    Url,
    Webhook,
    Workers,
)
from async_job.errors import (
    AsyncJobError,
    JobNotFound,
    ServerError,
    StoreError,
    StoreRefused,
    UsageError,
    WorkerError,
)
from async_job.escaping import escape

USAGE: Final = 2
UNREACHABLE: Final = 3
UNWRITABLE: Final = 74
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
"""As a program ends that is killed by SIGPIPE."""

NOT_WRITTEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# Typer brings its own click, and of its errors only this one; the one above all of them is two steps up.
Misuse: Final[type[Exception]] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="async-job",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 a job failed, was cancelled or expired, or `check` found something, 2 wrong usage, "
    "3 server or store unreachable, 4 repaired by `check --repair`, 74 the output cannot be written, 130 interrupted, "
    "141 the reader of the output has gone.",
)
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. An error is one line on standard error."""
    try:
        code = _run(arguments)
        # Nothing is left for the end of the interpreter, which would tell of an error in its own way.
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as end:
        # Typer and rich end the program by this when the reader of a pipe has gone.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        return _give_up_output(PIPE_CLOSED)
    except BrokenPipeError:
        return _give_up_output(PIPE_CLOSED)
    except OSError as error:
        if error.errno not in NOT_WRITTEN:
            raise
        return _complain(f"the output cannot be written: {error.strerror}", _give_up_output(UNWRITABLE))
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        _check_text(sys.argv[1:] if arguments is None else arguments)
        code = app(arguments, prog_name="async-job", standalone_mode=False)
    except Misuse as error:
        # Called without anything, click has printed the help already, and says no more.
        return _complain(_misuse(error), USAGE) if str(error) else USAGE
    except (UsageError, JobNotFound, StoreRefused) as error:
        return _complain(str(error), USAGE)
    except (ServerError, StoreError, WorkerError) as error:
        return _complain(str(error), UNREACHABLE)
    except AsyncJobError as error:
        return _complain(str(error), USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code or 0


def _check_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{os.fsencode(argument)!r} is no UTF-8, and nothing here takes other text") from error


def _misuse(error: Exception) -> str:
    """What click says, and where to read more."""
    says = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "async-job"
    return f"{says}; see `{command} --help`"


def _give_up_output(code: int) -> int:
    from async_job.cli.output import give_up_output

    give_up_output()
    return code


def _complain(says: str, code: int) -> int:
    print(f"async-job: {escape(says)}", file=sys.stderr)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("async-job"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Runs jobs that are started over HTTP, and says how they are."""


@app.command()
def serve(
    target: Target = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The address to listen on. By default 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="The port to listen on. By default 5079.")] = None,
    store: StoreUrl = None,
    workers: Workers = None,
    concurrency: Concurrency = None,
    queues: Queues = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when a Python file here changes.")] = False,
) -> int:
    """Serve HTTP and run jobs, on this machine and in the foreground.

    \b
    async-job serve
    async-job serve app:jobs --reload
    async-job serve app:jobs --store redis://localhost:6379 --workers 8
    """
    from async_job.cli import serving

    flags = {
        "host": host,
        "port": port,
        "store": store,
        "workers": workers,
        "concurrency": concurrency,
        "queues": queues,
    }
    return serving.serve(target, flags, reload=reload)


@app.command()
def worker(
    target: Target = None,
    store: StoreUrl = None,
    workers: Workers = None,
    concurrency: Concurrency = None,
    queues: Queues = None,
) -> int:
    """Run jobs without serving HTTP: on more machines, or beside a server with --workers 0.

    \b
    async-job worker app:jobs --store redis://localhost:6379
    async-job worker app:jobs --queues mail,default --concurrency 50
    """
    from async_job.cli import serving

    return serving.work(target, {"store": store, "workers": workers, "concurrency": concurrency, "queues": queues})


@app.command()
def submit(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="The job's type, as in demo.")],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="The input; read by the job's schema. KEY:=JSON is JSON."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, and print the result.")] = False,
    delay: Delay = None,
    priority: Priority = None,
    queue: Queue = None,
    start_within: StartWithin = None,
    timeout: Timeout = None,
    max_attempts: MaxAttempts = None,
    unique_key: UniqueKey = None,
    on_conflict: OnConflict = None,
    labels: Labels = None,
    webhook: Webhook = None,
    url: Url = None,
    store: DirectStore = None,
    app: App = None,
    as_json: AsJson = False,
) -> int:
    """Start a job and print its id; with --wait, its progress and its result.

    \b
    async-job submit demo
    async-job submit demo seconds=5 --wait
    async-job submit resize path=cat.jpg size:='[640, 480]'
    async-job submit mail to=ada --delay 3600 --unique-key ada --label shop=7
    async-job submit resize path=cat.jpg --store redis://db:6379 --app app:jobs
    """
    from async_job.cli import asking
    from async_job.cli.access import reach
    from async_job.cli.inputs import read_options

    given = {
        "delay": delay,
        "priority": priority,
        "queue": queue,
        "start_within": start_within,
        "timeout": timeout,
        "max_attempts": max_attempts,
        "unique_key": unique_key,
        "on_conflict": on_conflict,
        "webhook": webhook,
    }
    options = read_options(given, labels or [])
    access = reach(url, store, app, create=True)
    return asyncio.run(asking.submit(type, pairs or [], options, access, wait=wait, as_json=as_json))


@app.command()
def status(
    id: Id,
    watch: Annotated[bool, typer.Option("--watch", help="Show the job until it is done.")] = False,
    url: Url = None,
    store: DirectStore = None,
    app: App = None,
    as_json: AsJson = False,
) -> int:
    """Say how a job is. The exit code is 1 if it failed.

    \b
    async-job status 0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10
    async-job status 0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10 --watch
    async-job status 0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10 --json
    """
    from async_job.cli import asking
    from async_job.cli.access import reach

    return asyncio.run(asking.status(id, reach(url, store, app), until_done=watch, as_json=as_json))


@app.command("list")
def find(
    states: Annotated[
        str | None, typer.Option("--state", metavar="A,B", help="As in failed,cancelled; without: any.")
    ] = None,
    type: Annotated[str | None, typer.Option(metavar="TYPE", help="Jobs of this type only.")] = None,
    queue: Annotated[str | None, typer.Option(metavar="NAME", help="Jobs of this queue only.")] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Jobs that have it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")] = 20,
    url: Url = None,
    store: DirectStore = None,
    app: App = None,
    as_json: AsJson = False,
) -> int:
    """List jobs, the newest first.

    \b
    async-job list
    async-job list --state failed --type resize --limit 100
    async-job list --label shop=7 --json
    """
    from async_job.cli import asking
    from async_job.cli.access import reach
    from async_job.cli.inputs import read_query

    query = read_query(states, type, queue, labels or [])
    return asyncio.run(asking.find(query, limit, reach(url, store, app), as_json=as_json))


@app.command()
def cancel(id: Id, url: Url = None, store: DirectStore = None, app: App = None) -> int:
    """Cancel a job: at once if it waits; one that runs is asked to stop.

    \b
    async-job cancel 0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10
    """
    from async_job.cli import asking
    from async_job.cli.access import reach

    return asyncio.run(asking.change("cancel", id, reach(url, store, app)))


@app.command()
def retry(id: Id, url: Url = None, store: DirectStore = None, app: App = None) -> int:
    """Run a failed, cancelled or expired job again, under its id.

    \b
    async-job retry 0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10
    """
    from async_job.cli import asking
    from async_job.cli.access import reach

    return asyncio.run(asking.change("retry", id, reach(url, store, app)))


@app.command()
def check(
    store: StoreUrl = None,
    app: SettingsOf = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is found; workers may go on meanwhile.")] = False,
) -> int:
    """Compare every job in the store with its indexes. The exit code is 1 if something is not as promised, and 4 if all
    of it was repaired.

    \b
    async-job check
    async-job check --store redis://localhost:6379 --repair
    """
    from async_job.cli import checking
    from async_job.cli.access import given
    from async_job.cli.store_access import lasting_jobs

    return asyncio.run(checking.check(lasting_jobs(store, app), given(store=store, app=app), repair=repair))


@app.command()
def bench(
    store: StoreUrl = None,
    workers: Workers = None,
    concurrency: Concurrency = None,
    seconds: Annotated[float, typer.Option(min=1, max=3600, metavar="S", help="About how long it takes.")] = 60,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="Measure beside a store in use, in this new namespace.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what this store and this machine give, in about a minute. What it writes, it takes away again.

    \b
    async-job bench
    async-job bench --store redis://localhost:6379 --workers 2
    async-job bench --store redis://localhost:6379 --namespace trial
    """
    from async_job.cli import benching

    flags = {"store": store, "workers": workers, "concurrency": concurrency}
    asyncio.run(benching.bench(flags, seconds, namespace, as_json=as_json))


@app.command()
def settings(target: Target = None, as_json: AsJson = False) -> None:
    """Print every setting with its value and where that comes from.

    \b
    async-job settings
    async-job settings app:jobs --json
    """
    from async_job.cli import settings_table
    from async_job.cli.store_access import load_program

    settings_table.show(load_program(target).loaded, as_json=as_json)
