"""What the commands of ``async-job keys`` do, on the store itself."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from async_job.access.keys import AccessScope, ApiKey, Keys
from async_job.cli.output import local_time, print_json, print_rows
from async_job.cli.store_access import say_where
from async_job.job_view import time
from async_job.jobs import Jobs


class KeyView(Struct, frozen=True, kw_only=True):
    """A key as it may be shown. ``hint``: the last characters of its text."""

    id: str
    name: str
    scopes: tuple[AccessScope, ...]
    rate: int | None
    hint: str
    created_at: str
    revoked_at: str | None


async def create(jobs: Jobs, name: str, scopes: str, rate: int | None) -> str:
    """The text of the new key."""
    wanted = [scope.strip() for scope in scopes.split(",")]
    async with jobs:
        _, text = await Keys(await jobs.store()).create(name, wanted, rate)
    say_where(jobs)
    return text


async def list_keys(jobs: Jobs, *, as_json: bool) -> None:
    async with jobs:
        found = await Keys(await jobs.store()).all()
    if as_json:
        print_json(msgspec.json.encode([_view(key) for key in found]))
    else:
        print_rows(("id", "name", "scopes", "a minute", "ends in", "state"), [_row(key) for key in found])


async def revoke(jobs: Jobs, id: str) -> None:
    async with jobs:
        await Keys(await jobs.store()).revoke(id)
    say_where(jobs)


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        scopes=key.scopes,
        rate=key.rate,
        hint=key.hint,
        created_at=time(key.created_at),
        revoked_at=None if key.revoked_at is None else time(key.revoked_at),
    )


def _row(key: ApiKey) -> tuple[str, ...]:
    word, at = ("since", key.created_at) if key.revoked_at is None else ("revoked", key.revoked_at)
    rate = "any number" if key.rate is None else str(key.rate)
    return key.id, key.name, ",".join(key.scopes), rate, key.hint, f"{word} {local_time(at)}"
