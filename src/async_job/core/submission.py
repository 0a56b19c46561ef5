"""How a job comes to be: a function's defaults and the caller's options, checked and joined."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from msgspec import Struct

from async_job.core.job import DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_CRASHES, DEFAULT_QUEUE, Job, State
from async_job.errors import InvalidOptions

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What a type, a queue or a label may be called."""
PRIORITIES: Final = range(-9, 10)
ATTEMPTS: Final = range(1, 1001)
LONGEST_KEY: Final = 255
MOST_LABELS: Final = 32
LONGEST_LABEL: Final = 256
LONGEST_DELAY: Final = 10 * 365 * 86_400.0
"""Ten years, in seconds: what is further away is a mistake in the unit."""


class OnConflict(StrEnum):
    """What a submit does when a live job holds its unique key."""

    RETURN_EXISTING = "return_existing"
    REJECT = "reject"
    REPLACE = "replace"
    """Cancels the live job if it has not started, and rejects otherwise."""


ON_CONFLICT: Final = tuple(OnConflict)


class Defaults(Struct, frozen=True, kw_only=True):
    """What a function says about its jobs. ``timeout`` is for each attempt, in seconds."""

    type: str
    queue: str = DEFAULT_QUEUE
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    max_crashes: int = DEFAULT_MAX_CRASHES
    timeout: float | None = None


class Options(Struct, frozen=True, kw_only=True):
    """What a caller may say about one job; ``None``: as the function says.

    ``delay``, ``start_within`` and ``timeout`` are seconds, ``run_at`` is milliseconds since 1970. ``start_within``:
    the job expires if it has not been started that long after it was ready. ``webhook``: the name of an endpoint, or
    a URL, to tell of the job's end. ``with_options`` takes the same, but ``run_at`` as a ``datetime``.
    """

    queue: str | None = None
    priority: int = 0
    delay: float | None = None
    run_at: int | None = None
    start_within: float | None = None
    timeout: float | None = None
    max_attempts: int | None = None
    unique_key: str | None = None
    on_conflict: OnConflict = OnConflict.RETURN_EXISTING
    labels: dict[str, str] = {}
    webhook: str | None = None


NO_OPTIONS: Final = Options()


def as_options(given: object) -> Options:
    """What a caller gave as options: ``None`` stands for none. Raises ``InvalidOptions``."""
    if given is None:
        return NO_OPTIONS
    if isinstance(given, Options):
        return given
    says = f"options has to be async_job.Options, as in Options(delay=60), not of type {type(given).__name__}"
    raise InvalidOptions(says, "options")


def new_job(id: str, defaults: Defaults, input: bytes, options: Options, now: int, owner: str | None = None) -> Job:
    """The job that these ask for, at ``now`` (milliseconds, the store's time). ``owner``: the API key that asks.

    Raises:
        InvalidOptions: an option has a value that cannot be.
    """
    if options is not NO_OPTIONS:
        check(options)
    ready = now
    if options.delay is not None:
        ready = now + round(options.delay * 1000)
    elif options.run_at is not None:
        ready = max(now, options.run_at)
        if ready - now > LONGEST_DELAY * 1000:
            raise InvalidOptions("run_at is more than ten years away", "run_at")
    timeout = defaults.timeout if options.timeout is None else options.timeout
    return Job(
        # By name, too, these would be more than fifteen, for which Python makes a dictionary first.
        id,
        defaults.type,
        input,
        State.SCHEDULED if ready > now else State.QUEUED,
        now,
        ready,
        now,
        queue=options.queue or defaults.queue,
        priority=options.priority,
        max_attempts=options.max_attempts or defaults.max_attempts,
        max_crashes=defaults.max_crashes,
        timeout=None if timeout is None else round(timeout * 1000),
        start_by=None if options.start_within is None else ready + round(options.start_within * 1000),
        unique_key=owned_key(options.unique_key, owner),
        labels=options.labels,
        owner=owner,
        webhook=options.webhook,
    )


def owned_key(unique_key: str | None, owner: str | None) -> str | None:
    """The unique key as a job bears it. Each owner has keys of his own, and what stands between them is in none."""
    return unique_key if unique_key is None or owner is None else f"{owner}\0{unique_key}"


def check(options: Options) -> None:
    """Raises ``InvalidOptions`` with the name of the first option that cannot be. Types are checked too: not every
    caller has a type checker."""
    if options.queue is not None:
        check_name("queue", options.queue)
    _check_number("priority", options.priority, PRIORITIES)
    if options.delay is not None and options.run_at is not None:
        raise InvalidOptions("give delay or run_at, not both", "run_at")
    _check_seconds("delay", options.delay, least=0)
    _check_seconds("start_within", options.start_within, least=0.001)
    _check_seconds("timeout", options.timeout, least=0.001)
    if options.max_attempts is not None:
        _check_number("max_attempts", options.max_attempts, ATTEMPTS)
    if options.on_conflict not in ON_CONFLICT:
        allowed = ", ".join(ON_CONFLICT)
        raise InvalidOptions(f"on_conflict must be one of {allowed}, not {options.on_conflict!r}", "on_conflict")
    if options.unique_key is not None:
        _check_text("unique_key", options.unique_key, LONGEST_KEY)
    if len(options.labels) > MOST_LABELS:
        raise InvalidOptions(f"a job has at most {MOST_LABELS} labels, not {len(options.labels)}", "labels")
    labels: dict[str, object] = {**options.labels}
    for name, value in labels.items():
        check_name("labels", name)
        if not isinstance(value, str) or len(value) > LONGEST_LABEL:
            raise InvalidOptions(f"label {name!r} must be text of at most {LONGEST_LABEL} characters", "labels")


def check_name(option: str, name: object) -> None:
    """Raises ``InvalidOptions`` unless ``name`` is letters, digits and ``_ . -``, 1 to 64 of them."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidOptions(f"{option}: {str(name)[:80]!r} must be 1 to 64 letters, digits or any of _ . -", option)


def _check_number(option: str, value: object, allowed: range) -> None:
    # True and 2.0 are equal to numbers in the range, and would be stored as something else.
    if type(value) is not int or value not in allowed:
        raise InvalidOptions(f"{option} must be from {allowed[0]} to {allowed[-1]}, not {value!r}", option)


def _check_seconds(option: str, value: object, least: float) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or not least <= value <= LONGEST_DELAY:
        raise InvalidOptions(f"{option} must be from {least:g} to {LONGEST_DELAY:.0f} seconds, not {value}", option)


def _check_text(option: str, value: object, longest: int) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise InvalidOptions(f"{option} must be 1 to {longest} printable characters", option)
