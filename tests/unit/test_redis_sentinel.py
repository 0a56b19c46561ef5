"""Sentinels name the master: at the start, and after it has moved."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from async_job.store.redis.store import RedisStore
from support.jobs import submit
from support.servers import Server, free_port
from support.until import until

pytestmark = [pytest.mark.store("redis"), pytest.mark.realtime]


@contextmanager
def sentinel(binary: Path, folder: Path, master: int) -> Iterator[int]:
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
    )
    with (folder / "sentinel.log").open("w") as log:
        process = subprocess.Popen([binary, config, "--sentinel"], stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.terminate()
            process.wait(10)


async def test_the_master_moves(redis_binary: Path, make_server: Callable[..., Server], tmp_path: Path) -> None:
    first = make_server(redis_binary)
    second = make_server(redis_binary, config={"replicaof": f"127.0.0.1 {first.port}"})
    with sentinel(redis_binary, tmp_path, first.port) as port, redis.Redis(port=port, decode_responses=True) as watcher:
        await until(lambda: _is_up(watcher) and watcher.sentinel_master("main")["num-slaves"] == 1)
        store = RedisStore(f"127.0.0.1:1,127.0.0.1:{port},serviceName=main", patience=20)
        await store.open()
        await submit(store, "a")
        with redis.Redis.from_url(second.url) as replica:
            await until(lambda: replica.exists("async-job:a"))
        watcher.execute_command("SENTINEL", "FAILOVER", "main")
        await until(lambda: watcher.sentinel_get_master_addr_by_name("main") == ("127.0.0.1", second.port))
        first.kill()
        await submit(store, "b")
        assert (await store.counts()).queued == {"default": 2}
        with redis.Redis.from_url(second.url) as master:
            assert master.exists("async-job:a", "async-job:b") == 2
        await store.close()


def _is_up(watcher: redis.Redis) -> bool:
    try:
        return bool(watcher.ping())
    except redis.ConnectionError:
        return False
