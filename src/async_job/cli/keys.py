"""``async-job keys``: its commands and their options. What they do is imported when one is run."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from async_job.cli.parameters import AsJson, SettingsOf, StoreUrl

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def keys() -> None:
    """Let programs in: API keys, what each is good for, and how often. Works on the store; no server needs to run."""


@app.command()
def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="Whose it is, as in ci.")],
    scopes: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="create jobs; read, manage (cancel, retry, delete) its own; webhook: name URLs; metrics; admin: all.",
        ),
    ],
    rate: Annotated[int | None, typer.Option(metavar="N", help="Requests a minute; without: any number.")] = None,
    store: StoreUrl = None,
    app: SettingsOf = None,
) -> None:
    """Make a key and print it. It is shown only now. Servers know it within 5 seconds.

    \b
    async-job keys create --name ci --scopes create,read
    async-job keys create --name prometheus --scopes metrics --rate 60
    """
    from async_job.cli import granting
    from async_job.cli.store_access import lasting_jobs

    print(asyncio.run(granting.create(lasting_jobs(store, app, create=True), name, scopes, rate)))


@app.command("list")
def list_(store: StoreUrl = None, app: SettingsOf = None, as_json: AsJson = False) -> None:
    """List the keys, with those that were revoked.

    \b
    async-job keys list
    """
    from async_job.cli import granting
    from async_job.cli.store_access import lasting_jobs

    asyncio.run(granting.list_keys(lasting_jobs(store, app), as_json=as_json))


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")],
    store: StoreUrl = None,
    app: SettingsOf = None,
) -> None:
    """Revoke a key. Servers refuse it within 5 seconds.

    \b
    async-job keys revoke k3x9f0a2bq
    """
    from async_job.cli import granting
    from async_job.cli.store_access import lasting_jobs

    asyncio.run(granting.revoke(lasting_jobs(store, app), id))
