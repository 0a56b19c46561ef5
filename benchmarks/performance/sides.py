"""Who is measured: what each is called, whose environment and adapter it uses, and on which store."""

import importlib.metadata
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prepare import prepare, versions

HERE = Path(__file__).parent
OWN = ("async_job", "floor", "floor_sqlite", "floor_http")
"""These run in the project's own environment."""


@dataclass(frozen=True)
class Side:
    """`adapter` is a module of `rivals`, `env` a name in rivals.toml (none: the project's own environment)."""

    name: str
    title: str
    adapter: str
    store: str = "redis"
    variant: str = ""
    env: str = ""

    def python(self, envs: Path) -> Path:
        return prepare(self.env, envs) if self.env else Path(sys.executable)

    @property
    def version(self) -> str:
        if self.env:
            return versions(self.env)
        packages = {
            "async_job": ("async-job", "redis"), "floor_http": ("uvicorn", "uvloop", "httptools", "redis")
        }.get(self.adapter, ("redis",))  # fmt: skip
        named = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
        return "sqlite3 of Python" if self.adapter == "floor_sqlite" else named


@cache
def note(side: Side, envs: Path) -> str:
    """What the side's adapter says of the settings."""
    if side.adapter == "floor_http":
        return "uvicorn, one process; nothing of a request is read but its path"
    if side.adapter.startswith("fastapi_"):
        return "uvicorn, one process"
    store = {"redis": "redis://localhost", "sqlite": "sqlite:///:memory:"}[side.store]
    environment = {"STORE": store, "VARIANT": side.variant, "PYTHONDONTWRITEBYTECODE": "1"}
    asked = [str(side.python(envs)), "-c", f"from rivals.{side.adapter} import NOTE; print(NOTE)"]
    told = subprocess.run(asked, cwd=HERE, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return told.stdout.strip()


def _rival(name: str, title: str, **more: str) -> Side:
    return Side(name=name, title=title, **{"adapter": name, "env": name, **more})


_REDIS = [
    Side("async_job", "async-job", "async_job"),
    _rival("bullmq", "BullMQ (Python)"),
    _rival("huey", "Huey"),
    _rival("dramatiq", "Dramatiq"),
    _rival("saq", "SAQ"),
    _rival("arq", "arq"),
    _rival("taskiq", "taskiq"),
    _rival("celery_solo", "Celery, solo", adapter="celery", env="celery", variant="solo"),
    _rival("celery_prefork", "Celery, prefork", adapter="celery", env="celery", variant="prefork"),
    _rival("streaq", "streaQ"),
    _rival("rq", "RQ"),
    Side("floor", "floor: two scripts on redis-py", "floor"),
]
_CELERY_THREADS = _rival("celery_threads", "Celery, threads", adapter="celery", env="celery", variant="threads")
_FASTEST = [
    _rival(f"{name}_fastest", title, adapter=name, env=name, variant="fastest")
    for name, title in (("bullmq", "BullMQ (Python)"), ("huey", "Huey"), ("dramatiq", "Dramatiq"), ("saq", "SAQ"),
                        ("arq", "arq"), ("taskiq", "taskiq"), ("celery", "Celery"), ("streaq", "streaQ"), ("rq", "RQ"))
]  # fmt: skip
_SQLITE = [
    Side("async_job_sqlite", "async-job", "async_job", "sqlite"),
    _rival("huey_sqlite", "Huey", adapter="huey", env="huey", store="sqlite"),
    Side("floor_sqlite", "floor: transactions of ten", "floor_sqlite", "sqlite"),
]
_HTTP = [
    Side("async_job", "async-job", "async_job"),
    Side("async_job_sqlite", "async-job", "async_job", "sqlite"),
    _rival("fastapi_arq", "FastAPI + arq"),
    _rival("fastapi_saq", "FastAPI + SAQ"),
    _rival("fastapi_celery", "FastAPI + Celery"),
    _rival("fastapi_background", "FastAPI BackgroundTasks, status in Redis"),
    Side("floor_http", "floor: plain ASGI, one script for all that wait", "floor_http"),
]
SIDES = {side.name: side for side in [*_REDIS, _CELERY_THREADS, *_FASTEST, *_SQLITE, *_HTTP]}

REDIS = [side.name for side in _REDIS]
FASTEST = [side.name for side in _FASTEST]
SQLITE = [side.name for side in _SQLITE]
HTTP = [side.name for side in _HTTP]
OURS = ["async_job", "async_job_sqlite"]
MANY_AT_ONCE = ["celery_threads" if name == "celery_prefork" else name for name in REDIS]
"""A hundred processes would be no measure of Celery; its threads are advised for work that waits."""
BULK = ["async_job", "bullmq", "streaq", "rq", "floor", "async_job_sqlite", "floor_sqlite"]
