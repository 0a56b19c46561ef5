"""Where Redis is, as people write it: StackExchange.Redis's ``host:port,option=value,…``, or a URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from async_job.errors import SettingsError

PORT: Final = 6379
TLS_PORT: Final = 6380
SENTINEL_PORT: Final = 26379
CONNECT_TIMEOUT: Final = 5_000

NO_EFFECT: Final = frozenset(
    {"abortconnect", "connectretry", "keepalive", "resolvedns", "allowadmin", "synctimeout", "asynctimeout"}
)
"""Options of StackExchange.Redis that most strings carry and that steer only that driver."""


class RedisAddress(Struct, frozen=True, kw_only=True):
    """What a connection string says. ``service`` is the name of a master that the hosts, then Sentinels, know.
    ``warnings`` are options that have no effect here."""

    hosts: tuple[tuple[str, int], ...]
    user: str | None = None
    password: str | None = None
    ssl: bool = False
    ssl_ca_certs: str | None = None
    ssl_cert_reqs: str = "required"
    database: int = 0
    connect_timeout: int = CONNECT_TIMEOUT
    name: str | None = None
    service: str | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{'rediss' if self.ssl else 'redis'}://{hosts}/{self.database}"


def masked(text: str) -> str:
    """The connection string without its password."""
    text = re.sub(r"(?i)(password|pwd)\s*=[^,&]*", r"\1=***", text)
    return re.sub(r"(//[^/@:]*:).*@", r"\1***@", text)


def parse(text: str) -> RedisAddress:
    """Reads either form.

    Raises:
        SettingsError: it cannot be read; the message says what, and never the password.
    """
    text = text.strip()
    try:
        return _parse_url(text) if "://" in text else _parse_stack_exchange(text)
    except _Wrong as error:
        raise SettingsError(f"Redis connection string {masked(text)!r}: {error}") from None


class _Wrong(ValueError):
    pass


def _whole(name: str) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not value.isdecimal():
            raise _Wrong(f"{name} has to be a whole number")
        return int(value)

    return read


def _switch(name: str) -> Callable[[str], bool]:
    def read(value: str) -> bool:
        if value.lower() not in ("true", "false"):
            raise _Wrong(f"{name} has to be true or false")
        return value.lower() == "true"

    return read


def _host(text: str, default_port: int) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(.*))?", text)
    host, port = bracketed.groups() if bracketed else (text.partition(":")[0], text.partition(":")[2] or None)
    if not host:
        raise _Wrong("a host is missing")
    if port is None:
        return host, default_port
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise _Wrong(f"the port of {host} has to be a number from 1 to 65535")
    return host, int(port)


STACK_EXCHANGE_OPTIONS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "password": ("password", str),
    "user": ("user", str),
    "ssl": ("ssl", _switch("ssl")),
    "defaultdatabase": ("database", _whole("defaultDatabase")),
    "connecttimeout": ("connect_timeout", _whole("connectTimeout")),
    "name": ("name", str),
    "servicename": ("service", str),
}


def _parse_stack_exchange(text: str) -> RedisAddress:
    hosts: list[str] = []
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for piece in filter(None, map(str.strip, text.split(","))):
        name, is_option, value = piece.partition("=")
        name, value = name.strip(), value.strip()
        known = STACK_EXCHANGE_OPTIONS.get(name.lower())
        if not is_option:
            hosts.append(piece)
        elif known:
            values[known[0]] = known[1](value)
        elif name.lower() not in NO_EFFECT:
            warnings.append(f"option {name!r} of the Redis connection string has no effect")
    if not hosts:
        raise _Wrong("it names no host; write host:port, or a URL redis://host:port/0")
    port = SENTINEL_PORT if values.get("service") else TLS_PORT if values.get("ssl") else PORT
    return RedisAddress(hosts=tuple(_host(host, port) for host in hosts), warnings=tuple(warnings), **values)


URL_OPTIONS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "ssl_ca_certs": ("ssl_ca_certs", str),
    "ssl_cert_reqs": ("ssl_cert_reqs", str),
    "client_name": ("name", str),
    "username": ("user", str),
    "password": ("password", str),
    "db": ("database", _whole("db")),
}


def _parse_url(text: str) -> RedisAddress:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise _Wrong("it is no valid URL; write redis://host:port/0") from None
    if url.scheme not in ("redis", "rediss"):
        raise _Wrong("a URL begins with redis:// or rediss:// (TLS)")
    path = url.path.strip("/")
    address = RedisAddress(
        hosts=((url.hostname or "localhost", port or PORT),),
        user=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        ssl=url.scheme == "rediss",
        database=_whole("the database after the host")(path) if path else 0,
    )
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        known = URL_OPTIONS.get(name)
        if known:
            values[known[0]] = known[1](value)
        else:
            warnings.append(f"option {name!r} of the Redis URL has no effect")
    if values.get("ssl_cert_reqs", "required") not in ("none", "optional", "required"):
        raise _Wrong("ssl_cert_reqs has to be none, optional or required")
    return replace(address, warnings=tuple(warnings), **values)
