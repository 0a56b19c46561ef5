"""The settings: what each is called, what it means and what it may be, written down once.

The fields of ``Settings`` are the one list. From their annotations come the checks, the messages, the table in
``docs/settings.md`` and what ``async-job settings`` prints. ``settings_sources`` reads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from async_job.core.lifecycle import Retention
from async_job.core.submission import NAME
from async_job.store.codec import LogLimits
from async_job.store.redis.connection_string import masked as masked_url

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
SIZES: Final = {"KiB": KIB, "MiB": MIB, "GiB": GIB}
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
CENTURY: Final = 36_525 * DAY
LEAST_MEMORY: Final = 64 * MIB
"""A worker takes about as much before it has imported anything of its user's."""
NAME_PATTERN: Final = rf"^{NAME.pattern}\Z"
FERNET_KEY: Final = "[A-Za-z0-9_-]{43}="
NAME_RULE: Final = "1 to 64 letters, digits or any of _ . -"
MASK: Final = "***"


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _seconds(description: str, *, least: float = 0, most: float = DAY, default: str | None = None) -> Meta:
    return Meta(ge=least, le=most, description=description, extra={"unit": "seconds", "default": default})


def _kept(which: str) -> Meta:
    return _seconds(f"How long {which} jobs are kept; 0: for ever.", most=CENTURY)


def _bytes(description: str) -> Meta:
    return Meta(ge=2, le=256 * MIB, description=description, extra={"unit": "bytes"})


def _number(description: str, *, least: int, most: int, default: str | None = None) -> Meta:
    return Meta(ge=least, le=most, description=description, extra={"default": default})


def _text(description: str, *, allowed: str, pattern: str | None = None) -> Meta:
    return Meta(min_length=1, pattern=pattern, description=description, extra={"allowed": allowed})


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of one program. Durations are seconds, sizes are bytes."""

    store: Annotated[
        str,
        _text(
            "Where jobs are kept. Three slashes are a path from the current folder, four an absolute one.",
            allowed="memory://, sqlite:///file.db, redis://host:6379, rediss://host:6379 or a StackExchange.Redis "
            "connection string",
        ),
    ] = "sqlite:///async-job.db"
    namespace: Annotated[
        str,
        _text(
            "Keeps applications that share a store apart.",
            allowed=f"{NAME_RULE}, and not .sys at the end",
            pattern=rf"^(?!.*\.sys\Z){NAME.pattern}\Z",
        ),
    ] = "async-job"
    host: Annotated[str, _text("The address the server listens on.", allowed="a host name or an IP address")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _number("The port the server listens on; 0: any free one.", least=0, most=65535)] = 5079
    allow_open: Annotated[
        bool, Meta(description="Listen on other addresses than this machine's own, without keys.")
    ] = False
    workers: Annotated[
        int,
        _number("How many worker processes run jobs; 0: none.", least=0, most=256, default="the cores, at most 4"),
    ] = msgspec.field(default_factory=lambda: min(cores(), 4))
    concurrency: Annotated[int, _number("How many jobs a worker process runs at once.", least=1, most=1000)] = 10
    processes: Annotated[
        int,
        _number(
            'How many child processes a worker keeps at most for jobs with runner="process".',
            least=1,
            most=256,
            default="the cores",
        ),
    ] = msgspec.field(default_factory=cores)
    queues: Annotated[
        tuple[Annotated[str, Meta(pattern=NAME_PATTERN)], ...],
        Meta(
            min_length=1,
            description="The queues that the workers serve.",
            extra={"allowed": f"names separated by commas, each {NAME_RULE}"},
        ),
    ] = ("default",)
    strict: Annotated[bool, Meta(description="Serve the queues strictly in the order given, instead of in turn.")] = (
        False
    )
    lease: Annotated[
        float,
        _seconds("How long a worker that is no longer heard of keeps its jobs.", least=0.1, most=HOUR),
    ] = 15.0
    renew: Annotated[
        float,
        _seconds("How often a lease is renewed; at most half the lease.", most=HOUR, default="a third of the lease"),
    ] = 0.0
    grace: Annotated[float, _seconds("How long running jobs may go on after a request to stop.")] = 30.0
    stall_timeout: Annotated[
        float,
        _seconds(
            "A worker process that gives no sign of life for so long, or a child that does not start, is killed.",
            least=1,
        ),
    ] = 120.0
    loop_warning: Annotated[
        float,
        _seconds("An event loop that is blocked for so long is logged, with the stack that blocks it; 0: never."),
    ] = 2.0
    worker_memory_limit: Annotated[
        int,
        Meta(
            ge=0,
            le=1024 * GIB,
            description="A worker process, or a child process of one, that takes more memory is killed; 0: no limit.",
            extra={"unit": "bytes", "allowed": f"0, or bytes from {LEAST_MEMORY // MIB}MiB on, as in 1GiB; on Linux"},
        ),
    ] = 0
    demo_seconds: Annotated[float, _seconds("How long the built-in job `demo` takes.")] = 30.0
    keep_succeeded: Annotated[float, _kept("succeeded")] = DAY
    keep_cancelled: Annotated[float, _kept("cancelled")] = DAY
    keep_expired: Annotated[float, _kept("expired")] = DAY
    keep_failed: Annotated[float, _kept("failed")] = 7 * DAY
    max_input: Annotated[int, _bytes("The largest input of a job, as JSON.")] = 256 * KIB
    max_body: Annotated[int, _bytes("The largest body of a request; at least max_input.")] = 4 * MIB
    max_result: Annotated[int, _bytes("The largest result of a job, as JSON.")] = MIB
    job_log_lines: Annotated[int, _number("How many of its newest lines a job's log keeps.", least=1, most=5000)] = (
        1_000
    )
    job_log_bytes: Annotated[int, _bytes("How many bytes of text a job's log keeps of those lines.")] = 256 * KIB
    progress_interval: Annotated[
        float,
        _seconds("The time between two writes of a job's progress and log; the last one wins.", least=0.05, most=1),
    ] = 0.25
    max_depth: Annotated[int, _number("How deep an input may be nested.", least=1, most=500)] = 64
    max_wait: Annotated[float, _seconds("How long a request may wait for a job.", most=HOUR)] = 60.0
    webhook_key: Annotated[
        str,
        Meta(
            pattern=rf"^(?:{FERNET_KEY}(?:,{FERNET_KEY})*)?\Z",
            description="Encrypts the secrets of webhooks, which need it. `async-job webhooks key` makes one.",
            extra={"allowed": "keys of 44 characters with commas between; the first encrypts", "default": "none"},
        ),
    ] = ""
    webhook_allow_private: Annotated[
        bool, Meta(description="Deliver webhooks to private and loopback addresses, too; for development.")
    ] = False
    webhook_allow_http: Annotated[bool, Meta(description="Deliver webhooks without TLS, too; for development.")] = False
    max_queued: Annotated[
        int,
        _number("How many jobs may wait in a queue before more are refused; 0: any number.", least=0, most=10**9),
    ] = 0
    max_oldest: Annotated[
        float, _seconds("How long a queue's first job may wait before more are refused; 0: any time.")
    ] = 0.0
    head_deadline: Annotated[float, _seconds("A request's headers have to arrive within it.", least=0.01)] = 10.0
    body_deadline: Annotated[float, _seconds("A request's body has to arrive within it.", least=0.01)] = 30.0
    send_deadline: Annotated[
        float, _seconds("A client that takes nothing of what waits for it for so long is cut.", least=0.01)
    ] = 30.0
    max_connections: Annotated[
        int, _number("How many connections the server holds at once; more are refused.", least=1, most=1_000_000)
    ] = 5_000
    allow_eviction: Annotated[
        bool, Meta(description="Use a Redis that may drop keys when its memory is full, and so lose jobs.")
    ] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least important lines to log.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="How log lines look; `auto`: console on a terminal, else json."),
    ] = "auto"

    def __post_init__(self) -> None:
        if not self.renew:
            msgspec.structs.force_setattr(self, "renew", self.lease / 3)

    @property
    def log_limits(self) -> LogLimits:
        """What is kept of a job's log, as stores take it."""
        return LogLimits(self.job_log_lines, self.job_log_bytes)

    @property
    def retention(self) -> Retention:
        """How long finished jobs are kept, as the policy takes it."""
        return Retention(
            succeeded=round(self.keep_succeeded * 1000),
            cancelled=round(self.keep_cancelled * 1000),
            expired=round(self.keep_expired * 1000),
            failed=round(self.keep_failed * 1000),
        )


class Setting(Struct, frozen=True, kw_only=True):
    """What is written about a setting. ``type`` is the one that values are checked against."""

    name: str
    type: Any
    default: str
    unit: str
    allowed: str
    description: str

    @property
    def variable(self) -> str:
        return f"ASYNC_JOB_{self.name.upper()}"

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"


@cache
def described() -> Mapping[str, Setting]:
    """Every setting by name, in the order in which they are written down."""
    hints = get_type_hints(Settings, include_extras=True)
    return {field.name: _describe(field, hints[field.name]) for field in msgspec.structs.fields(Settings)}


def _describe(field: msgspec.structs.FieldInfo, hint: Any) -> Setting:
    plain, meta = get_args(hint)
    extra = meta.extra or {}
    return Setting(
        name=field.name,
        type=hint,
        default=extra.get("default") or shown(field.default),
        unit=extra.get("unit", ""),
        allowed=extra.get("allowed") or _allowed(plain, meta),
        description=meta.description,
    )


def _allowed(plain: Any, meta: Meta) -> str:
    if plain is bool:
        return "true or false"
    if get_origin(plain) is Literal:
        *most, last = get_args(plain)
        return f"{', '.join(most)} or {last}"
    unit = (meta.extra or {}).get("unit")
    kind = "a whole number" if plain is int else "a number"
    return f"{kind}{f' of {unit}' if unit else ''} from {meta.ge:.12g} to {meta.le:.12g}"


def shown(value: object) -> str:
    """A value as people write it: in a table, in a message, in the environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, tuple | list):
        return ",".join(str(part) for part in value)
    return str(value)


def size_of(text: str) -> int | str:
    """The bytes that a text like ``1GiB`` or ``1.5 MiB`` stands for; any other text as it is."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)\s*", text, re.ASCII)
    return int(float(found[1]) * SIZES[found[2]]) if found else text


@lru_cache(maxsize=128)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at this address."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def masked(settings: Settings) -> Settings:
    """The settings as they may be shown to people: keys, and passwords in URLs, are blotted out."""
    key = settings.webhook_key and MASK
    return msgspec.structs.replace(settings, store=masked_url(settings.store), webhook_key=key)
