"""Where settings come from, which source wins, and what is said about a wrong one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from async_job.errors import SettingsError
from async_job.settings import Settings, described, masked
from async_job.settings_sources import Loaded, load


def load_in(
    folder: Path,
    *,
    arguments: Mapping[str, object] | None = None,
    pyproject: str | None = None,
    toml: str | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    if pyproject is not None:
        (folder / "pyproject.toml").write_text(pyproject)
    if toml is not None:
        (folder / "async-job.toml").write_text(toml)
    return load(arguments, flags, environ or {}, folder)


def test_the_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    loaded = load_in(tmp_path)
    settings = loaded.settings
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.origins.keys() == described().keys()
    assert (settings.store, settings.host, settings.port) == ("sqlite:///async-job.db", "127.0.0.1", 5079)
    assert (settings.lease, settings.renew, settings.grace) == (15, 5, 30)
    assert 1 <= settings.workers <= 4
    assert settings.processes >= settings.workers
    assert (settings.keep_succeeded, settings.keep_failed) == (86_400, 7 * 86_400)
    assert (settings.max_input, settings.max_body, settings.max_result) == (262_144, 4_194_304, 1_048_576)


SOURCES: list[tuple[str, dict[str, Any]]] = [
    ("argument", {"arguments": {"lease": 21}}),
    ("pyproject.toml", {"pyproject": "[tool.async-job]\nlease = 22\n"}),
    ("async-job.toml", {"toml": "lease = 23.0\n"}),
    ("ASYNC_JOB_LEASE", {"environ": {"ASYNC_JOB_LEASE": "24"}}),
    ("--lease", {"flags": {"lease": 25.0}}),
]


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(SOURCES)), ids=lambda source: source[0])
def test_each_source_beats_the_one_before(
    tmp_path: Path, lower: tuple[str, dict[str, Any]], higher: tuple[str, dict[str, Any]]
) -> None:
    alone = load_in(tmp_path, **lower[1])
    both = load_in(tmp_path, **lower[1], **higher[1])
    assert (alone.origins["lease"], both.origins["lease"]) == (lower[0], higher[0])
    assert both.settings.lease == alone.settings.lease + 1
    assert both.origins["port"] == "default"


def test_the_connection_string_of_the_original_is_a_store(tmp_path: Path) -> None:
    loaded = load_in(tmp_path, environ={"ConnectionStrings__Redis": "localhost:6390,password=secret,ssl=false"})
    assert loaded.settings.store == "localhost:6390,password=secret,ssl=false"
    assert loaded.origins["store"] == "ConnectionStrings__Redis"


def test_a_connection_string_may_be_a_bare_host_or_a_url(tmp_path: Path) -> None:
    assert load_in(tmp_path, environ={"ConnectionStrings__Redis": "cache"}).settings.store == "redis://cache"
    url = "rediss://cache:6390/2"
    assert load_in(tmp_path, environ={"CONNECTIONSTRINGS__REDIS": url}).settings.store == url


@pytest.mark.parametrize("first", ["ASYNC_JOB_STORE", "ConnectionStrings__Redis"])
def test_the_store_variable_beats_the_connection_string(tmp_path: Path, first: str) -> None:
    values = {"ASYNC_JOB_STORE": "memory://", "ConnectionStrings__Redis": "localhost:6390"}
    ordered = {first: values.pop(first), **values}
    loaded = load_in(tmp_path, environ=ordered)
    assert (loaded.settings.store, loaded.origins["store"]) == ("memory://", "ASYNC_JOB_STORE")


def test_the_connection_string_beats_the_files(tmp_path: Path) -> None:
    loaded = load_in(tmp_path, toml='store = "memory://"', environ={"ConnectionStrings__Redis": "localhost:6390"})
    assert loaded.origins["store"] == "ConnectionStrings__Redis"


def test_every_setting_can_be_set_by_its_variable(tmp_path: Path) -> None:
    other = {
        "store": "memory://", "namespace": "shop", "host": "::1", "port": "80", "allow_open": "true", "workers": "0",
        "concurrency": "1", "processes": "7", "queues": "a, b", "strict": "1", "lease": "9", "renew": "0.5",
        "grace": "0", "stall_timeout": "2.5", "loop_warning": "0", "worker_memory_limit": "2GiB",
        "demo_seconds": "0",
        "keep_succeeded": "0", "keep_cancelled": "1", "keep_expired": "2", "keep_failed": "3",
        "max_input": "10", "max_body": "11", "max_result": "12",
        "job_log_lines": "4", "job_log_bytes": "1KiB", "progress_interval": "0.5",
        "max_depth": "3", "max_wait": "0", "max_queued": "7", "max_oldest": "60", "head_deadline": "1",
        "body_deadline": "2", "send_deadline": "3", "max_connections": "9",
        "allow_eviction": "TRUE", "webhook_key": f"{'k' * 43}=",
        "webhook_allow_private": "true", "webhook_allow_http": "1", "log_level": "debug", "log_format": "json",
    }  # fmt: skip
    assert other.keys() == described().keys()
    loaded = load_in(tmp_path, environ={described()[name].variable: value for name, value in other.items()})
    defaults = msgspec.structs.asdict(load_in(tmp_path).settings)
    for name, value in msgspec.structs.asdict(loaded.settings).items():
        assert value != defaults[name], name
        assert loaded.origins[name] == f"ASYNC_JOB_{name.upper()}"
    assert loaded.settings.queues == ("a", "b")
    assert loaded.settings.strict is True


@pytest.mark.parametrize("value", ["a,b,a", ["a", "b", "a"], ("a", "b")])
def test_queues_may_be_a_list_or_text_and_count_once(tmp_path: Path, value: object) -> None:
    assert load_in(tmp_path, arguments={"queues": value}).settings.queues == ("a", "b")


def test_renew_follows_the_lease_unless_it_is_set(tmp_path: Path) -> None:
    assert load_in(tmp_path, flags={"lease": 9}).settings.renew == 3
    assert load_in(tmp_path, flags={"lease": 9, "renew": 1.5}).settings.renew == 1.5


def test_what_is_none_or_empty_is_not_given(tmp_path: Path) -> None:
    loaded = load_in(tmp_path, arguments={"port": None}, flags={"store": None}, environ={"ASYNC_JOB_WORKERS": ""})
    assert set(loaded.origins.values()) == {"default"}


def test_variables_for_the_commands_and_for_children_are_no_settings(tmp_path: Path) -> None:
    given = ("ASYNC_JOB_URL", "ASYNC_JOB_API_KEY", "ASYNC_JOB_CHILD", "ASYNC_JOB_CHILD_PIPE", "OTHER")
    environ = dict.fromkeys(given, "x")
    assert load_in(tmp_path, environ=environ).settings == load_in(tmp_path).settings


def test_a_pyproject_of_another_tool_is_left_alone(tmp_path: Path) -> None:
    assert load_in(tmp_path, pyproject="[tool.ruff]\nline-length = 120\n").origins["port"] == "default"


@pytest.mark.parametrize(
    ("written", "bytes"),
    [
        ("1GiB", 1 << 30),
        ("1.5 GiB", 3 << 29),
        ("512MiB", 512 << 20),
        (" 65536 KiB ", 64 << 20),
        ("1073741824", 1 << 30),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(tmp_path: Path, written: str, bytes: int) -> None:
    assert load_in(tmp_path, flags={"worker_memory_limit": written}).settings.worker_memory_limit == bytes
    toml = f'worker_memory_limit = "{written}"' if "i" in written else f"worker_memory_limit = {written}"
    assert load_in(tmp_path, toml=toml).settings.worker_memory_limit == bytes


SECONDS = "a number of seconds from"
WRONG: list[tuple[dict[str, Any], list[str]]] = [
    # An argument, a flag, a file and a variable that are no setting.
    ({"arguments": {"leases": 1}}, ["leases (argument)", "no setting", "did you mean lease?"]),
    ({"flags": {"prot": 1}}, ["prot (flag)", "did you mean port?"]),
    ({"toml": "zzz = 1"}, ["zzz (async-job.toml)", "async-job settings"]),
    ({"toml": "[server]\nport = 1"}, ["server (async-job.toml)", "no setting"]),
    ({"pyproject": "[tool.async-job]\nworker = 1"}, ["worker (pyproject.toml)", "did you mean workers?"]),
    ({"environ": {"ASYNC_JOB_LEESE": "1"}}, ["ASYNC_JOB_LEESE is no setting", "did you mean ASYNC_JOB_LEASE?"]),
    # Values of the wrong type or out of bounds.
    ({"arguments": {"port": "80"}}, ["port is '80' (argument)", "a whole number from 0 to 65535"]),
    ({"flags": {"port": 65536}}, ["port is '65536' (--port)", "a whole number from 0 to 65535"]),
    ({"toml": 'workers = "4"'}, ["workers is '4' (async-job.toml)", "a whole number from 0 to 256"]),
    ({"toml": "workers = 1.5"}, ["workers is '1.5' (async-job.toml)"]),
    ({"toml": "lease = inf"}, ["lease is 'inf' (async-job.toml)", f"{SECONDS} 0.1 to 3600"]),
    ({"toml": "lease = nan"}, ["lease is 'nan' (async-job.toml)", f"{SECONDS} 0.1 to 3600"]),
    ({"toml": "strict = 1"}, ["strict is '1' (async-job.toml)", "true or false"]),
    ({"environ": {"ASYNC_JOB_LEASE": "15s"}}, ["lease is '15s' (ASYNC_JOB_LEASE)", f"{SECONDS} 0.1 to 3600"]),
    ({"environ": {"ASYNC_JOB_WORKER_MEMORY_LIMIT": "1GB"}}, ["worker_memory_limit is '1GB'", "as in 1GiB"]),
    ({"toml": 'worker_memory_limit = "-1GiB"'}, ["worker_memory_limit is '-1GiB'", "as in 1GiB"]),
    (
        {"toml": "worker_memory_limit = 1000000"},
        ["worker_memory_limit is 1000000 (async-job.toml)", "at least 67108864"],
    ),
    ({"environ": {"ASYNC_JOB_STRICT": "maybe"}}, ["strict is 'maybe' (ASYNC_JOB_STRICT)", "true or false"]),
    ({"environ": {"ASYNC_JOB_DEMO_SECONDS": "86401"}}, ["demo_seconds is '86401'", f"{SECONDS} 0 to 86400"]),
    ({"environ": {"ASYNC_JOB_LOG_LEVEL": "loud"}}, ["log_level is 'loud'", "debug, info, warning or error"]),
    ({"environ": {"ASYNC_JOB_QUEUES": "a,,b"}}, ["queues is 'a,,b'", "names separated by commas"]),
    ({"toml": "queues = []"}, ["queues is '' (async-job.toml)", "names separated by commas"]),
    ({"toml": "queues = 3"}, ["queues is '3' (async-job.toml)", "names separated by commas"]),
    ({"arguments": {"namespace": "a:b"}}, ["namespace is 'a:b' (argument)", "letters, digits"]),
    ({"arguments": {"namespace": "a.sys"}}, ["namespace is 'a.sys' (argument)", "not .sys at the end"]),
    ({"arguments": {"namespace": "a\n"}}, ["namespace is 'a\\n' (argument)"]),
    ({"arguments": {"store": 5}}, ["store is '5' (argument)", "sqlite:///file.db"]),
    # Values that do not go together.
    ({"flags": {"renew": 8}}, ["renew is 8 (--renew)", "lease is 15 (default)", "at most half the lease"]),
    (
        {"toml": "max_input = 5000000"},
        ["max_body is 4194304 (default)", "max_input is 5000000 (async-job.toml)", "at least max_input"],
    ),
    # Files that are none.
    ({"toml": "store = "}, ["async-job.toml cannot be read"]),
    ({"pyproject": "[tool]\nasync-job = 3\n"}, ["[tool.async-job] in pyproject.toml", "a table"]),
    # Stores that are none.
    ({"flags": {"store": "jobs.db"}}, ["store (--store) is 'jobs.db'", "sqlite:///file.db"]),
    ({"flags": {"store": "pg://a:secret@b"}}, ["'pg://a:***@b'", "redis://host:6379"]),
    ({"flags": {"store": "memory://x"}}, ["memory:// takes nothing"]),
    ({"flags": {"store": "sqlite://jobs.db"}}, ["three slashes"]),
    ({"flags": {"store": "sqlite:///:memory:"}}, ["memory://"]),
    ({"flags": {"store": "sqlite:///"}}, ["the name of the file is missing"]),
    ({"flags": {"store": "sqlite:///a.db?mode=ro"}}, ["no options"]),
    ({"flags": {"store": "redis://host/jobs"}}, ["store (--store)", "the database after the host"]),
    ({"flags": {"store": "redis://u:se/cret@host:6379"}}, ["redis://u:***@host:6379", "no valid URL"]),
    (
        {"environ": {"ConnectionStrings__Redis": "host:x,password=secret"}},
        ["store (ConnectionStrings__Redis)", "host:x,password=***", "the port of host"],
    ),
]


@pytest.mark.parametrize(("sources", "said"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_named_with_its_origin_and_what_is_allowed(
    tmp_path: Path, sources: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_in(tmp_path, **sources)
    message = str(caught.value)
    assert [part for part in said if part not in message] == [], message
    assert "cret" not in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["lease", "host", "store", "queues", "max_body", "log_level"])
def test_a_variable_that_is_no_text_is_named(tmp_path: Path, name: str) -> None:
    variable = described()[name].variable
    with pytest.raises(SettingsError, match=rf"^{name} \({variable}\) is no UTF-8; it has to be "):
        load_in(tmp_path, environ={variable: os.fsdecode(b"sqlite:///\xff")})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "async-job.toml").mkdir()
    with pytest.raises(SettingsError, match=r"async-job\.toml cannot be read"):
        load_in(tmp_path)


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("redis://user:secret@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("rediss://user:se@cret@host", "rediss://user:***@host"),
        ("redis://host?password=secret&x=1", "redis://host?password=***&x=1"),
        ("host:6379,Password=secret,ssl=true", "host:6379,Password=***,ssl=true"),
        ("host:6379,password=secret", "host:6379,password=***"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_passwords_are_masked(store: str, shown: str) -> None:
    settings = masked(Settings(store=store, renew=2))
    assert settings.store == shown
    assert settings.renew == 2


def test_settings_go_through_json_to_child_processes(tmp_path: Path) -> None:
    settings = load_in(tmp_path, flags={"queues": "a,b", "lease": 0.7}).settings
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings


def test_every_setting_is_described() -> None:
    for setting in described().values():
        assert setting.description.endswith("."), setting.name
        assert setting.default, setting.name
        assert setting.allowed, setting.name


def test_settings_can_be_read_without_the_libraries_that_workers_do_without() -> None:
    absent = ("typer", "rich", "pydantic", "starlette", "redis", "apsw", "httpx")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import async_job.settings_sources as s; s.load()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_webhook_keys_are_checked_and_shown_to_nobody(tmp_path: Path) -> None:
    keys = f"{'a' * 43}=,{'b' * 43}="
    loaded = load_in(tmp_path, environ={"ASYNC_JOB_WEBHOOK_KEY": keys})
    assert loaded.settings.webhook_key == keys
    assert masked(loaded.settings).webhook_key == "***"
    assert masked(load_in(tmp_path).settings).webhook_key == ""
    with pytest.raises(SettingsError, match="webhook_key is '\\*\\*\\*'") as raised:
        load_in(tmp_path, environ={"ASYNC_JOB_WEBHOOK_KEY": keys + "x"})
    assert "aaa" not in str(raised.value)


def test_settings_survive_the_way_to_a_child(tmp_path: Path) -> None:
    for settings in (load_in(tmp_path).settings, load_in(tmp_path, toml=f'webhook_key = "{"a" * 43}="').settings):
        assert msgspec.json.decode(msgspec.json.encode(settings), type=type(settings)) == settings
