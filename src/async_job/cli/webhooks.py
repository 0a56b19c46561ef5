"""``async-job webhooks``: its commands and their options. What they do is imported when one is run."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from async_job.cli.parameters import AsJson, SettingsOf, StoreUrl

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def webhooks() -> None:
    """Tell others when jobs end: who is told, and what became of it. Works on the store; no server needs to run."""


@app.command()
def key() -> None:
    """Print a new key for the setting webhook_key.

    \b
    export ASYNC_JOB_WEBHOOK_KEY=$(async-job webhooks key)
    """
    from async_job.webhooks.vault import new_key

    print(new_key())


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What jobs call it.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages go, as in https://example.com/hook.")],
    secret: Annotated[
        str | None,
        typer.Option(metavar="WHSEC", help="The receiver's own; `-`: from standard input. Else one is made."),
    ] = None,
    store: StoreUrl = None,
    app: SettingsOf = None,
) -> None:
    """Add an endpoint, and print the secret that its receiver verifies messages with. It is shown only now.

    \b
    async-job webhooks add billing https://billing.example.com/hooks/jobs
    """
    from async_job.cli import telling
    from async_job.cli.store_access import lasting_jobs

    print(asyncio.run(telling.add(lasting_jobs(store, app, create=True), name, url, secret)))


@app.command("list")
def list_(store: StoreUrl = None, app: SettingsOf = None, as_json: AsJson = False) -> None:
    """List the endpoints.

    \b
    async-job webhooks list
    """
    from async_job.cli import telling
    from async_job.cli.store_access import lasting_jobs

    asyncio.run(telling.list_endpoints(lasting_jobs(store, app), as_json=as_json))


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The endpoint's name.")],
    store: StoreUrl = None,
    app: SettingsOf = None,
) -> None:
    """Remove an endpoint. What is on its way to it is given up.

    \b
    async-job webhooks remove billing
    """
    from async_job.cli import telling
    from async_job.cli.store_access import lasting_jobs

    asyncio.run(telling.remove(lasting_jobs(store, app), name))


@app.command()
def secret(
    url: Annotated[str, typer.Argument(metavar="URL", help="The URL that jobs name.")], app: SettingsOf = None
) -> None:
    """Print the secret for the receiver behind a URL that jobs name without an endpoint.

    \b
    async-job webhooks secret https://example.com/hook
    """
    from async_job.cli import telling
    from async_job.cli.store_access import load_program

    for each in telling.secrets_of(load_program(app), url):
        print(each)


@app.command()
def deliveries(
    job: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this job.")] = None,
    store: StoreUrl = None,
    app: SettingsOf = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, the newest first.

    \b
    async-job webhooks deliveries
    async-job webhooks deliveries --job 0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10
    """
    from async_job.cli import telling
    from async_job.cli.store_access import lasting_jobs

    asyncio.run(telling.list_deliveries(lasting_jobs(store, app), job, as_json=as_json))


@app.command()
def replay(
    id: Annotated[str, typer.Argument(metavar="ID", help="The delivery's id, as `deliveries` shows it.")],
    store: StoreUrl = None,
    app: SettingsOf = None,
) -> None:
    """Have a message sent again, under the same id, by the server or worker that runs.

    \b
    async-job webhooks replay msg_0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10_1738310400000_3
    """
    from async_job.cli import telling
    from async_job.cli.store_access import lasting_jobs

    asyncio.run(telling.replay(lasting_jobs(store, app), id))
