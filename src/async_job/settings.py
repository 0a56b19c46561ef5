"""The settings: what each is called, what it means and what it may be, written down once.

The fields of ``Settings`` are the one list. From their annotations come the checks, the messages, the table in
``docs/settings.md`` and what ``async-job settings`` prints. ``load`` reads them from all sources, later ones win:

    arguments in code < [tool.async-job] in pyproject.toml < async-job.toml < environment < flags
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from async_job.core.lifecycle import Retention
from async_job.core.submission import NAME
from async_job.errors import SettingsError
from async_job.store.open import check_url
from async_job.store.redis.connection_string import masked as masked_url

KIB: Final = 1024
MIB: Final = 1024 * KIB
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
CENTURY: Final = 36_525 * DAY
NAME_PATTERN: Final = rf"^{NAME.pattern}\Z"
FERNET_KEY: Final = "[A-Za-z0-9_-]{43}="
NAME_RULE: Final = "1 to 64 letters, digits or any of _ . -"
PREFIX: Final = "ASYNC_JOB_"
MASK: Final = "***"
RESERVED: Final = ("ASYNC_JOB_URL", "ASYNC_JOB_CHILD")
"""Variables that are no settings: the server for the commands, and what a supervisor tells its children
(also with more behind an underscore)."""
CONNECTION_STRING: Final = "ConnectionStrings__Redis"


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
        float, _seconds("A worker process that gives no sign of life for so long is killed.", least=1)
    ] = 120.0
    demo_seconds: Annotated[float, _seconds("How long the built-in job `demo` takes.")] = 30.0
    keep_succeeded: Annotated[float, _kept("succeeded")] = DAY
    keep_cancelled: Annotated[float, _kept("cancelled")] = DAY
    keep_expired: Annotated[float, _kept("expired")] = DAY
    keep_failed: Annotated[float, _kept("failed")] = 7 * DAY
    max_input: Annotated[int, _bytes("The largest input of a job, as JSON.")] = 256 * KIB
    max_body: Annotated[int, _bytes("The largest body of a request; at least max_input.")] = 4 * MIB
    max_result: Annotated[int, _bytes("The largest result of a job, as JSON.")] = MIB
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
    webhook_allow_http: Annotated[
        bool, Meta(description="Deliver webhooks without TLS, too; for development.")
    ] = False
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


class Loaded(Struct, frozen=True):
    """The settings, and for each by name where its value came from: ``default``, ``argument``, ``pyproject.toml``,
    ``async-job.toml``, the name of the variable, or the flag."""

    settings: Settings
    origins: dict[str, str]


class Found(NamedTuple):
    """A value as it was found. ``text``: it is text whatever it means, as in the environment."""

    name: str
    value: object
    origin: str
    text: bool = False


def load(
    arguments: Mapping[str, object] | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Loaded:
    """Reads all sources; ``arguments`` and ``flags`` that are ``None`` count as not given.

    Raises:
        SettingsError: a value or a name is wrong; the message says which, where it stands, and what is allowed.
    """
    folder = folder or Path.cwd()
    values: dict[str, Any] = {}
    origins = dict.fromkeys(described(), "default")
    for found in [
        *_from_code(arguments or {}),
        *_from_file(folder / "pyproject.toml", ("tool", "async-job")),
        *_from_file(folder / "async-job.toml", ()),
        *_from_environment(os.environ if environ is None else environ),
        *_from_flags(flags or {}),
    ]:
        values[found.name] = _checked(found)
        origins[found.name] = found.origin
    settings = Settings(**values)
    _check_together(settings, origins)
    return Loaded(settings, origins)


def _from_code(arguments: Mapping[str, object]) -> Iterator[Found]:
    for name, value in arguments.items():
        if value is not None:
            yield Found(_known(name, "argument"), value, "argument")


def _from_flags(flags: Mapping[str, object]) -> Iterator[Found]:
    for name, value in flags.items():
        if value is not None:
            setting = described()[_known(name, "flag")]
            yield Found(name, value, setting.flag, text=isinstance(value, str))


def _from_file(path: Path, table: tuple[str, ...]) -> Iterator[Found]:
    try:
        values: Any = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}") from error
    for part in table:
        values = values.get(part, {}) if isinstance(values, dict) else values
    if not isinstance(values, dict):
        raise SettingsError(f"[{'.'.join(table)}] in {path.name} has to be a table of settings")
    for name, value in values.items():
        yield Found(_known(name, path.name), value, path.name)


def _from_environment(environ: Mapping[str, str]) -> Iterator[Found]:
    """Empty variables count as not set: that is how compose files pass on what is not there."""
    for variable, value in environ.items():
        # .NET reads the names of its variables in either case.
        if variable.lower() == CONNECTION_STRING.lower() and value:
            yield Found("store", value if _has_more_than_a_host(value) else f"redis://{value}", variable, text=True)
    for variable, value in environ.items():
        reserved = any(variable == name or variable.startswith(f"{name}_") for name in RESERVED)
        if variable.startswith(PREFIX) and not reserved and value:
            name = _known(variable.removeprefix(PREFIX).lower(), variable, variable=True)
            yield Found(name, value, variable, text=True)


def _has_more_than_a_host(connection: str) -> bool:
    return any(mark in connection for mark in (":", ",", "="))


def _known(name: str, origin: str, *, variable: bool = False) -> str:
    if name in described():
        return name
    close = get_close_matches(name, described(), n=1)
    hint = "see `async-job settings` for all of them"
    if close:
        hint = f"did you mean {described()[close[0]].variable if variable else close[0]}?"
    what = origin if variable else f"{name} ({origin})"
    raise SettingsError(f"{what} is no setting; {hint}")


def _checked(found: Found) -> Any:
    setting = described()[found.name]
    value = found.value
    if found.name == "queues" and isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    try:
        checked: Any = msgspec.convert(value, setting.type, strict=not found.text)
    except msgspec.ValidationError as error:
        raise _wrong(setting, found) from error
    if found.name == "queues":
        # A queue that is named twice would be claimed from twice.
        checked = tuple(dict.fromkeys(checked))
    if found.name == "store":
        check_url(checked, name=f"store ({found.origin})")
    return checked


def _wrong(setting: Setting, found: Found) -> SettingsError:
    value = shown(found.value)
    if setting.name == "store":
        value = masked_url(value)
    if setting.name == "webhook_key":
        value = MASK
    return SettingsError(f"{setting.name} is {value!r} ({found.origin}); it has to be {setting.allowed}")


def _check_together(settings: Settings, origins: Mapping[str, str]) -> None:
    if settings.renew > settings.lease / 2:
        raise SettingsError(
            f"renew is {shown(settings.renew)} ({origins['renew']}) and lease is {shown(settings.lease)} "
            f"({origins['lease']}); renew has to be at most half the lease, so that one renewal may be missed"
        )
    if settings.max_body < settings.max_input:
        raise SettingsError(
            f"max_body is {settings.max_body} ({origins['max_body']}) and max_input is {settings.max_input} "
            f"({origins['max_input']}); max_body has to be at least max_input"
        )
