"""From ``app:jobs``, as it stands on a command line, to the ``Jobs`` object, and back; also in child processes."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from async_job import logs
from async_job.errors import AsyncJobError, UsageError
from async_job.jobs import Jobs

DEMO: Final = "async_job.demo"

log = logs.get_logger()


def load_jobs(target: str | None) -> Jobs:
    """The ``Jobs`` that ``module:attribute`` names, imported with the current folder first on the path.

    Without a target: a ``Jobs()`` of its own, which has the built-in demo only.

    Raises:
        UsageError: there is no such thing, or importing it failed; one line says why.
    """
    if target is None:
        return Jobs()
    module_name, colon, attribute = target.partition(":")
    if not (colon and module_name and attribute) or "/" in module_name or module_name.endswith(".py"):
        raise UsageError(f"{target!r} names no Jobs object; write module:attribute, as in app:jobs for app.py")
    module = _import(module_name, target)
    try:
        jobs = attrgetter(attribute)(module)
    except AttributeError as error:
        here = ", ".join(name for name, value in vars(module).items() if isinstance(value, Jobs))
        hint = f"it has {here}" if here else "it has no Jobs object at all"
        raise UsageError(f"{target}: module {module_name} has no {attribute!r}; {hint}") from error
    if not isinstance(jobs, Jobs):
        raise UsageError(f"{target} is of type {type(jobs).__name__}, and has to be a Jobs object, as in jobs = Jobs()")
    return jobs


def warn_of_unserved(jobs: Jobs) -> None:
    """Says which functions have a queue that is not served here: nothing else would, while their jobs wait. The demo
    is left out, since every program has it."""
    served = jobs.settings.queues
    waiting = {
        type: made.defaults.queue
        for type, made in jobs.functions.items()
        if made.defaults.queue not in served and made.function.__module__ != DEMO
    }
    if waiting:
        log.warning(
            "jobs of these functions wait for other workers, as their queues are not served here; serve them by "
            "--queues or the setting queues",
            functions=waiting,
            served=list(served),
        )


def freeze_loaded() -> None:
    """Keeps what is in memory now out of the garbage collector's sight, when a process has loaded what it needs.

    A full collection stops everything else while it looks at every object there is. Modules, classes and functions are
    most of them, and never garbage.
    """
    gc.collect()
    gc.freeze()


def find_target(jobs: Jobs) -> str:
    """What other processes import to get these jobs: where this process has them from.

    Raises:
        UsageError: they are in no module that can be imported.
    """
    found = [
        (name, attribute)
        for name, module in list(sys.modules.items())
        for attribute, value in list(getattr(module, "__dict__", {}).items())
        if value is jobs and not name.startswith("__")
    ]
    if not found:
        raise UsageError(
            "worker processes have to import the Jobs object, and no module that they could import has it; "
            "name one by target='module:attribute'"
        )
    # Of several modules the one that holds functions need not import the whole application.
    homes = {function.function.__module__ for function in jobs.functions.values()}
    name, attribute = next((place for place in found if place[0] in homes), found[0])
    return f"{name}:{attribute}"


def folder_of(target: str) -> str:
    """The folder on the import path that this process has the target's module from; empty if it has not."""
    name = target.partition(":")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return ""
    path = Path(file).resolve()
    return str(path.parents[name.count(".") + (path.name == "__init__.py")])


def _import(name: str, target: str) -> object:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"{target}: there is no module {error.name} in {folder} or among the installed") from error
        said = " ".join(str(error).split())
        # Our own errors need no name: their text is written for whoever reads it here.
        kind = "" if isinstance(error, AsyncJobError) else f"{type(error).__name__}: "
        raise UsageError(f"{target}: {_place(error)}{kind}{said}") from error


def _place(error: BaseException) -> str:
    """Where the import failed: the last line of the user's code that was run, or that could not be read."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: "
    machinery = (f"{Path(__file__).parent}{os.sep}", importlib.__file__, "<frozen")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(machinery)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""


def main() -> int:
    """Prints, for a process that does not want to import it itself, the settings of the program that is named: as
    JSON, or a JSON text that says why there are none. The flags come by standard input."""
    # What the program prints while it is imported is none of the answer.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    flags = msgspec.json.decode(sys.stdin.buffer.read())
    try:
        jobs = load_jobs(sys.argv[1])
        jobs.configure(flags=flags)
        told: object = jobs.loaded
        if jobs.settings.workers and not jobs.settings.store.startswith("memory:"):
            # The supervisor imports no functions, and each worker would say it again.
            logs.configure(jobs.settings)
            warn_of_unserved(jobs)
    except UsageError as error:
        told = str(error)
    with answer:
        answer.write(msgspec.json.encode(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
