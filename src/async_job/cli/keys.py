"""``async-job keys``: its commands and their options. What they do is imported when one is run."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Where jobs are kept, as in redis://localhost:6379.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
) -> None:
    """Make a key and print it. It is shown only now. Servers know it within 5 seconds.

    \b
    async-job keys create --name ci --scopes create,read
    async-job keys create --name prometheus --scopes metrics --rate 60
    """
    from async_job.cli import granting

    print(asyncio.run(granting.create(store, name, scopes, rate)))


@app.command("list")
def list_(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """List the keys, with those that were revoked.

    \b
    async-job keys list
    """
    from async_job.cli import granting

    asyncio.run(granting.list_keys(store, as_json=as_json))


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")], store: StoreUrl = None
) -> None:
    """Revoke a key. Servers refuse it within 5 seconds.

    \b
    async-job keys revoke k3x9f0a2bq
    """
    from async_job.cli import granting

    asyncio.run(granting.revoke(store, id))
