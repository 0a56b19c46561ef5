"""What a job may name as its webhook: an endpoint that is there, or a URL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from async_job.core.submission import NAME
from async_job.errors import InvalidOptions
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.endpoints import KIND
from async_job.webhooks.url import wrong_url


def is_url(target: str) -> bool:
    """Whether it is a URL and no endpoint's name. To name one, an API key needs the scope ``webhook``."""
    return ":" in target


async def check_targets(store: Store, targets: Sequence[str | None], settings: Settings) -> list[InvalidOptions | None]:
    """What is wrong with each, in order. Asks the store only if an endpoint is named, and then once."""
    names = [target for target in targets if target is not None and not is_url(target)]
    known = await store.administration.documents(KIND) if names else {}
    return [None if target is None else _wrong(target, known.keys(), settings) for target in targets]


def _wrong(target: str, known: Iterable[str], settings: Settings) -> InvalidOptions | None:
    if not settings.webhook_key:
        return _says("webhooks are not set up here: the setting webhook_key has no value")
    if is_url(target):
        reason = wrong_url(target, settings)
        return None if reason is None else _says(reason)
    if not NAME.fullmatch(target):
        return _says(f"{target[:80]!r} is neither the name of an endpoint nor a URL")
    return None if target in known else _says(f"there is no endpoint {target!r}")


def _says(reason: str) -> InvalidOptions:
    return InvalidOptions(f"webhook: {reason}", "webhook")
