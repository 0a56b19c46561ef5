"""No Docker engine is at hand where the tests run: they read compose.yaml and the Dockerfile, and try what they say."""

import json
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest
import redis
import yaml

from async_job.settings import Settings, is_loopback
from async_job.settings_sources import load
from support.servers import Server

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


class Instruction(NamedTuple):
    """One instruction of a Dockerfile. ``words`` are its arguments; ``json``: they stood in brackets, so that no shell
    reads them."""

    name: str
    words: list[str]
    json: bool


def parse(dockerfile: str) -> list[Instruction]:
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    instructions = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        in_brackets = rest.lstrip().startswith("[")
        words = json.loads(rest) if in_brackets else shlex.split(rest)
        instructions.append(Instruction(name.upper(), words, in_brackets))
    return instructions


DOCKERFILE = parse((ROOT / "Dockerfile").read_text())


def all_of(name: str) -> list[Instruction]:
    return [instruction for instruction in DOCKERFILE if instruction.name == name]


def image_environment() -> dict[str, str]:
    pairs = (word.partition("=") for instruction in all_of("ENV") for word in instruction.words)
    return {name: value for name, _, value in pairs}


def copied() -> list[tuple[str, str]]:
    """From where to where the Dockerfile copies files, one pair a source."""
    return [(source, words[-1]) for _, words, _ in all_of("COPY") for source in words[:-1]]


def settings_of(environment: dict[str, str], folder: Path) -> Settings:
    """What async-job makes of an environment; a variable that is no setting, or a wrong value, stops it."""
    return load(environ=environment, folder=folder).settings


def published(service: str) -> dict[int, tuple[str, int]]:
    """The ports inside the container, with the address and port outside."""
    ports = {}
    for port in SERVICES[service]["ports"]:
        address, outside, inside = port.rsplit(":", 2)
        ports[int(inside)] = (address, int(outside))
    return ports


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_on_loopback_only(service: str) -> None:
    assert published(service)
    assert all(is_loopback(address) for address, _ in published(service).values())


def test_redis_and_redisinsight_are_where_the_original_has_them() -> None:
    image, _, tag = SERVICES["redis"]["image"].partition(":")
    assert image == "redis/redis-stack", "redis-stack-server has no RedisInsight"
    assert tag not in ("", "latest")
    assert {inside: outside for inside, (_, outside) in published("redis").items()} == {6379: 6379, 8001: 8001}


def test_a_real_server_takes_the_arguments_and_keeps_what_was_acknowledged(
    make_server: Callable[..., Server],
) -> None:
    words = shlex.split(SERVICES["redis"]["environment"]["REDIS_ARGS"])
    arguments = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    server = make_server(config=arguments)
    with redis.Redis.from_url(server.url) as client:
        for name, value in (("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")):
            assert client.config_get(name) == {name: value}
        client.set("key", "value")
    server.kill()
    server.restart()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("key") == b"value"


def test_what_redis_writes_outlives_the_container() -> None:
    volumes = dict(volume.split(":") for volume in SERVICES["redis"]["volumes"])
    assert "/data" in volumes.values()
    assert set(volumes) <= set(COMPOSE["volumes"])


def test_the_health_check_tells_a_live_server_from_a_dead_one_and_writes_nothing(
    redis_binary: Path, tmp_path: Path
) -> None:
    kind, command = SERVICES["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is missing (Debian: package redis-tools)")
    with Server(redis_binary, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        here = command.replace("redis-cli", f"redis-cli -p {server.port}")
        assert subprocess.run(["sh", "-c", here], check=False).returncode == 0
        assert client.info("persistence")["rdb_changes_since_last_save"] == 0
        assert client.dbsize() == 0
        server.kill()
        assert subprocess.run(["sh", "-c", here], stderr=subprocess.DEVNULL, check=False).returncode != 0


def test_the_app_is_a_profile_and_waits_for_a_healthy_redis() -> None:
    assert SERVICES["app"]["profiles"] == ["app"]
    assert "profiles" not in SERVICES["redis"]
    assert SERVICES["app"]["depends_on"]["redis"]["condition"] == "service_healthy"
    assert SERVICES["app"]["build"] == "."


@pytest.mark.parametrize("added", [{}, SERVICES["app"]["environment"]], ids=["image", "compose"])
def test_every_variable_is_a_setting_and_the_server_can_be_reached(added: dict[str, str], tmp_path: Path) -> None:
    settings = settings_of(image_environment() | added, tmp_path)
    assert settings.host == "0.0.0.0"
    assert settings.allow_open
    assert published("app") == {settings.port: ("127.0.0.1", settings.port)}
    assert all_of("EXPOSE")[0].words == [str(settings.port)]


def test_the_app_finds_redis_by_its_name(tmp_path: Path) -> None:
    settings = settings_of(image_environment() | SERVICES["app"]["environment"], tmp_path)
    assert settings.store == "redis://redis:6379"


def test_running_jobs_get_their_grace_before_they_are_killed(tmp_path: Path) -> None:
    settings = settings_of(image_environment() | SERVICES["app"]["environment"], tmp_path)
    assert float(SERVICES["app"]["stop_grace_period"].removesuffix("s")) > settings.grace


def test_sigterm_reaches_the_supervisor() -> None:
    """In the other form a shell would be the first process, and pass no signal on."""
    [entry], [command] = all_of("ENTRYPOINT"), all_of("CMD")
    assert (entry.words, entry.json) == (["async-job"], True)
    assert (command.words, command.json) == (["serve"], True)


def test_the_image_runs_as_a_user_who_may_write_its_data_only() -> None:
    names = [instruction.name for instruction in DOCKERFILE]
    [user], [volume] = all_of("USER"), all_of("VOLUME")
    assert user.words == ["app"]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in ("RUN", "COPY"))
    assert ["install", "--directory", "--owner=app", *volume.words] == all_of("RUN")[0].words[-4:]
    assert image_environment()["ASYNC_JOB_STORE"].startswith(f"sqlite:///{volume.words[0]}/")


def test_the_image_holds_what_the_lock_says() -> None:
    installs = [instruction.words for instruction in all_of("RUN") if instruction.words[:2] == ["pip", "install"]]
    assert installs == [
        ["pip", "install", "--require-hashes", "-r", "requirements/run.txt"],
        ["pip", "install", "--no-deps", "--no-build-isolation", "."],
    ]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for source, _ in copied():
        assert (ROOT / source).exists()
        # The last rule that fits decides.
        fitting = [rule for rule in rules if fnmatch(source.rstrip("/"), rule.removeprefix("!"))]
        assert fitting
        assert fitting[-1].startswith("!")


def test_the_project_builds_from_what_is_copied(tmp_path: Path) -> None:
    image = tmp_path / "app"
    for source, target in copied():
        into = image / target
        if source.endswith("/"):
            shutil.copytree(ROOT / source, into)
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, into)
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=image,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    [wheel] = (image / "dist").iterdir()
    assert wheel.name == f"async_job-{version}-py3-none-any.whl"
    # Not only the modules: also SQL, Lua scripts and the like.
    inside = {name for name in ZipFile(wheel).namelist() if name.startswith("async_job/")}
    assert inside == {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "async_job").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
