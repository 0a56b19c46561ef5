"""Where settings come from. All sources are read, later ones win:

arguments in code < [tool.async-job] in pyproject.toml < async-job.toml < environment < flags
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from async_job.errors import SettingsError
from async_job.settings import LEAST_MEMORY, MASK, Setting, Settings, described, shown, size_of
from async_job.store.open import check_url
from async_job.store.redis.connection_string import masked as masked_url

PREFIX: Final = "ASYNC_JOB_"
RESERVED: Final = ("ASYNC_JOB_URL", "ASYNC_JOB_API_KEY", "ASYNC_JOB_CHILD")
"""Variables that are no settings: the server for the commands and the key for it, and what a supervisor tells its
children (also with more behind an underscore)."""
CONNECTION_STRING: Final = "ConnectionStrings__Redis"


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
    if isinstance(value, str) and not _is_text(value):
        raise SettingsError(f"{setting.name} ({found.origin}) is no UTF-8; it has to be {setting.allowed}")
    if found.name == "queues" and isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if setting.unit == "bytes" and isinstance(value, str):
        value = size_of(value)
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


def _is_text(value: str) -> bool:
    """Python has what is no UTF-8 in a variable as half surrogate pairs."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    limit = settings.worker_memory_limit
    if 0 < limit < LEAST_MEMORY:
        raise SettingsError(
            f"worker_memory_limit is {limit} ({origins['worker_memory_limit']}); it has to be 0 or at least "
            f"{LEAST_MEMORY}, as a worker takes about that before it runs anything"
        )
    if limit and not Path("/proc/self/statm").exists():
        raise SettingsError(
            f"worker_memory_limit is set ({origins['worker_memory_limit']}), and can only be held on Linux, where "
            "/proc says how much memory a process takes; leave it out here"
        )
