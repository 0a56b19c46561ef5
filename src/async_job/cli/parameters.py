"""What several commands take, or one that takes much."""

from typing import Annotated, Literal

import typer

Target = Annotated[
    str | None,
    typer.Argument(metavar="MODULE:JOBS", help="Your Jobs object, as in app:jobs for app.py. Without: the demo only."),
]
App = Annotated[
    str | None,
    typer.Option(metavar="MODULE:JOBS", help="With --store: the Jobs object with the functions and settings."),
]
SettingsOf = Annotated[
    str | None, typer.Option("--app", metavar="MODULE:JOBS", help="The Jobs object whose settings name the store.")
]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The server; also ASYNC_JOB_URL. By default http://127.0.0.1:5079."),
]
DirectStore = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Go straight to the store; no server needs to run.")
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Where jobs are kept, as in redis://localhost:6379.")
]
Workers = Annotated[int | None, typer.Option(metavar="N", help="Worker processes; by default the cores, at most 4.")]
Concurrency = Annotated[int | None, typer.Option(metavar="N", help="Jobs at once in each of them; 10 by default.")]
Queues = Annotated[str | None, typer.Option(metavar="A,B", help="The queues to serve; `default` by default.")]
Delay = Annotated[float | None, typer.Option(metavar="SECONDS", help="Start it so much later.")]
Priority = Annotated[int | None, typer.Option(metavar="N", help="-9 to 9, higher first; 0 by default.")]
Queue = Annotated[str | None, typer.Option(metavar="NAME", help="Another queue than the function's own.")]
StartWithin = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="It expires if it has not been started by then.")
]
Timeout = Annotated[float | None, typer.Option(metavar="SECONDS", help="How long each attempt may take.")]
MaxAttempts = Annotated[int | None, typer.Option(metavar="N", help="How often it is tried.")]
UniqueKey = Annotated[
    str | None, typer.Option(metavar="KEY", help="At most one job of this type that has not ended has it.")
]
OnConflict = Annotated[
    Literal["return_existing", "reject", "replace"] | None,
    typer.Option(metavar="WORD", help="If there is one: return_existing (the default), reject or replace."),
]
Labels = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="To find it by; may be given again.")
]
Webhook = Annotated[str | None, typer.Option(metavar="NAME", help="The endpoint, or URL, to tell of its end.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="What submit or POST /start-job answered.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
