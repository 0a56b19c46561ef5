"""The commands that run: serve and worker. Each returns its exit code."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console

from async_job import logs
from async_job.access.keys import Keys
from async_job.cli.output import give_up_output
from async_job.cli.store_access import place_of
from async_job.errors import SettingsError, StoreUnavailable, UsageError
from async_job.jobs import Jobs
from async_job.loading import load_jobs
from async_job.settings import Settings, is_loopback, masked
from async_job.settings_sources import Loaded, load
from async_job.store.open import sqlite_path
from async_job.store.redis.connection_string import parse
from async_job.worker import supervisor

log = logs.get_logger()


def serve(target: str | None, flags: Mapping[str, object], *, reload: bool) -> int:
    """Serves HTTP and runs jobs, until a signal ends it."""
    loaded = read_settings(target, flags)
    settings = loaded.settings
    logs.configure(settings, sys.stderr)
    _refuse_strangers(target, loaded)
    with _listen(settings) as listening:
        url = _url(settings.host, listening.getsockname()[1])

        def greet() -> None:
            _print_greeting(target, settings, url)

        def wait() -> None:
            _say_what_is_awaited(settings)

        if not settings.store.startswith("memory:"):
            return supervisor.run(target, settings, listen=listening, reload=reload, on_ready=greet, on_wait=wait)
        if reload:
            raise UsageError("--reload would lose what is in memory://; give another --store")
        from async_job.server import serve_embedded

        jobs = load_jobs(target)
        jobs.configure(settings=settings)
        return serve_embedded(jobs, listening, greet, target=target)


def work(target: str | None, flags: Mapping[str, object]) -> int:
    """Runs jobs, until a signal ends it."""
    settings = read_settings(target, flags).settings
    if not settings.workers:
        raise UsageError("workers is 0: there would be nothing to run")
    logs.configure(settings, sys.stderr)

    def greet() -> None:
        _print_rows(
            [("store", masked(settings).store), *_about_workers(settings), _how_to_stop(settings)], "async-job worker"
        )

    def wait() -> None:
        _say_what_is_awaited(settings)

    return supervisor.run(target, settings, on_ready=greet, on_wait=wait)


def read_settings(target: str | None, flags: Mapping[str, object]) -> Loaded:
    """The settings of the program with these flags. The program may give some in its code, so it is imported, but by
    a process of its own: whoever supervises its workers runs none of it."""
    if target is None:
        return load(flags=flags)
    # -P: the current folder comes onto the path when the program is imported, and hides nothing of ours before.
    command = [sys.executable, "-P", "-m", "async_job.loading", target]
    # A session of its own keeps the Ctrl-C of the terminal from it, and so its traceback; it ends with this call.
    answer = subprocess.run(
        command, input=msgspec.json.encode(flags), stdout=subprocess.PIPE, check=False, start_new_session=True
    )
    try:
        told = msgspec.json.decode(answer.stdout, type=Loaded | str)
    except msgspec.DecodeError as error:
        raise UsageError(f"{target}: the process that imports it ended with {answer.returncode}") from error
    if isinstance(told, str):
        raise UsageError(told)
    return told


def _refuse_strangers(target: str | None, loaded: Loaded) -> None:
    """Other machines are served if they need a key, or if somebody has said that they need none."""
    settings = loaded.settings
    if settings.allow_open or is_loopback(settings.host) or asyncio.run(_asks_for_keys(settings)):
        return
    raise SettingsError(
        f"host is {settings.host} ({loaded.origins['host']}): whoever reaches this machine could start jobs, for there "
        f"are no keys in {place_of(settings)}; {_how_to_get_a_key(target, loaded)}, set ASYNC_JOB_ALLOW_OPEN=true "
        "if that is meant, or leave host at 127.0.0.1"
    )


def _how_to_get_a_key(target: str | None, loaded: Loaded) -> str:
    """The command that writes to this very store."""
    if loaded.settings.store.startswith("memory:"):
        return "give another --store, which can keep some"
    command = "async-job keys create"
    if loaded.origins["store"] == "--store":
        command += f" --store {masked(loaded.settings).store}"
    if target and "argument" in (loaded.origins["store"], loaded.origins["namespace"]):
        command += f" --app {target}"
    return f"make one by `{command}`"


async def _asks_for_keys(settings: Settings) -> bool:
    """Whether there is a key to ask for. A store that is away may have some; until it is back nobody is let in."""
    url = settings.store
    if url.startswith("memory:") or (url.startswith("sqlite:") and not sqlite_path(url).exists()):
        return False
    jobs = Jobs()
    jobs.configure(settings=settings)
    try:
        async with jobs:
            return any(key.revoked_at is None for key in await Keys(await jobs.store()).all())
    except StoreUnavailable:
        return True


def _listen(settings: Settings) -> socket.socket:
    """A listening socket, made here so that a port that is taken is told at once."""
    host, port = settings.host, settings.port
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, UnicodeError) as error:
        # Python adds the address, which is said here already. A name that cannot be one is a UnicodeError.
        reason = ((isinstance(error, OSError) and error.strerror) or str(error)).partition(" (while ")[0]
        raise SettingsError(
            f"cannot listen on {host}, port {port}: {reason}; choose others by --host, --port"
        ) from error


def _url(host: str, port: int) -> str:
    """Where the server is found from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _print_greeting(target: str | None, settings: Settings, url: str) -> None:
    here = "" if url == "http://127.0.0.1:5079" else f" --url {url}"
    rows = [
        ("start a job", f"curl -X POST {url}/start-job"),
        ("read its status", f"curl {url}/status-job/ID"),
    ]
    if target is None:
        rows.append(("or at once", f"{_command()} submit demo seconds=5 --wait{here}"))
    rows.append(("see what there is", f"{url}/docs in a browser"))
    rows += [
        ("", ""),
        ("store", masked(settings).store),
        *_about_workers(settings),
        ("settings", f"{_command()} settings{f' {target}' if target else ''}"),
        _how_to_stop(settings),
    ]
    _print_rows(rows, f"async-job {version('async-job')} on {url}")


def _say_what_is_awaited(settings: Settings) -> None:
    """One line for whoever wonders why there is no greeting."""
    if settings.store.startswith("sqlite:"):
        says = f"{settings.store} does not answer yet, trying again; another process may hold its lock"
    else:
        hosts = ",".join(f"{host}:{port}" for host, port in parse(settings.store).hosts)
        says = f"cannot reach redis at {hosts}, trying again; start a Redis there or set ASYNC_JOB_STORE"
    print(f"async-job: {says}", file=sys.stderr, flush=True)


def _command() -> str:
    """The command as it can be typed here: by its name if that is on the path, else as it was called."""
    called = Path(sys.argv[0])
    found = shutil.which("async-job")
    if called.name != "async-job" or (found is not None and Path(found).samefile(called)):
        return "async-job"
    return os.path.relpath(called) if called.is_absolute() else str(called)


def _about_workers(settings: Settings) -> list[tuple[str, str]]:
    if settings.store.startswith("memory:"):
        return [("workers", f"in this process, {settings.concurrency} jobs at once")]
    if not settings.workers:
        return [("workers", "none here; async-job worker starts some")]
    return [("workers", f"{settings.workers}, each with {settings.concurrency} jobs at once")]


def _how_to_stop(settings: Settings) -> tuple[str, str]:
    return "stop", f"Ctrl-C; running jobs have {settings.grace:g} s then, or none after a second Ctrl-C"


def _print_rows(rows: list[tuple[str, str]], title: str) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        console.print(f"\n{title}\n", style="bold")
        for name, value in rows:
            if name:
                console.print(f"  {name:<18}", style="dim", end="")
            console.print(value)
        console.print()
    except (OSError, SystemExit) as error:
        # rich would end the program by this when the reader of a pipe has gone.
        give_up_output()
        log.warning("the greeting cannot be written, going on without", error=str(error.__context__ or error))
