"""The settings as a table: with their values for ``async-job settings``, and explained for ``docs/settings.md``.

The page is made by ``python -m async_job.cli.settings_table > docs/settings.md``.
"""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from async_job.cli.output import print_json
from async_job.settings import described, masked, shown
from async_job.settings_sources import Loaded

INTRODUCTION = """\
# Settings

Each setting has a default, and can be set in five places. Where it is set in several, the later one in this list wins:

1. arguments in code: `Jobs(store="memory://")`
2. `[tool.async-job]` in `pyproject.toml`, in the current folder
3. `async-job.toml`, in the current folder: `store = "redis://localhost:6379"`
4. the environment: `ASYNC_JOB_STORE`, `ASYNC_JOB_LEASE`, … `ASYNC_JOB_` and the name in capitals
5. options of the command, where it has one: `async-job serve --store redis://localhost:6379`

`async-job settings` prints the value of each and where it comes from. A value that cannot be used, or a name that is
no setting, stops the start with a message that names it and its place. Durations are in seconds; sizes are in bytes,
or written as `512KiB`, `64MiB` or `1GiB`. A variable that is empty counts as not set, and lists are written with
commas there (`ASYNC_JOB_QUEUES=mail,default`).

`worker_memory_limit` is compared with the resident memory of each worker process, and of each child process of one,
ten times a second. What a killed process held comes back with the reason `memory`: the one job that it held is
charged with a crash; if it held several, each is run alone next. Jobs that run inside your own application (`memory://`,
`lifespan(jobs)`) are not held to it, unless they have `runner="process"`; processes that a job starts are not
counted.

The .NET original's variable `ConnectionStrings__Redis` sets the store as well, in the syntax of StackExchange.Redis
(`localhost:6379,password=…`) or as a URL; `ASYNC_JOB_STORE` beats it. `ASYNC_JOB_URL` and
`ASYNC_JOB_API_KEY` are no settings of the server: they tell `async-job submit`, `status`, `list`, `cancel` and `retry`
which server to ask, and with which key.

| setting | default | what it is | what it may be |
|---|---|---|---|
"""


def page() -> str:
    """The text of ``docs/settings.md``."""
    rows = []
    for setting in described().values():
        default = setting.default if " " in setting.default else f"`{setting.default}`"
        rows.append(f"| `{setting.name}` | {default} | {setting.description} | {setting.allowed} |\n")
    return INTRODUCTION + "".join(rows)


def show(loaded: Loaded, *, as_json: bool) -> None:
    """Prints each setting with its value and where that comes from; passwords are masked."""
    values = msgspec.structs.asdict(masked(loaded.settings))
    if as_json:
        both = {name: {"value": value, "origin": loaded.origins[name]} for name, value in values.items()}
        print_json(msgspec.json.encode(both))
    elif sys.stdout.isatty():
        Console().print(_table(loaded, values))
    else:
        for name, value in values.items():
            print(name, shown(value), loaded.origins[name], sep="\t")


def _table(loaded: Loaded, values: dict[str, object]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("setting", "value", "origin", "what it is"):
        table.add_column(column, overflow="fold")
    for name, value in values.items():
        about = described()[name]
        origin = loaded.origins[name]
        table.add_row(
            name,
            Text(f"{shown(value)} {about.unit}".rstrip()),
            Text(origin, style="dim" if origin == "default" else "green"),
            Text(about.description, style="dim"),
        )
    return table


if __name__ == "__main__":
    sys.stdout.write(page())
