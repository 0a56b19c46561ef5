"""``rediss://``: the server has to show a certificate of an authority that we trust."""

import pytest

from async_job.errors import StoreUnavailable
from async_job.store.redis.store import RedisStore
from support.jobs import read, submit
from support.servers import Server

pytestmark = pytest.mark.store("redis")


@pytest.mark.parametrize(
    "form", ["rediss://127.0.0.1:{port}/0?ssl_ca_certs={ca}", "rediss://127.0.0.1:{port}?ssl_cert_reqs=none"]
)
async def test_jobs_go_over_tls(tls_server: Server, form: str) -> None:
    tls_server.flush()
    store = RedisStore(form.format(port=tls_server.port, ca=tls_server.ca_file))
    await store.open()
    (job,) = await submit(store, "a")
    await store.wait(["default"], 5)
    assert await read(store, "a") == job
    assert (await store.health()).backend.startswith("redis ")
    await store.close()


async def test_an_unknown_authority_is_not_trusted(tls_server: Server) -> None:
    store = RedisStore(f"127.0.0.1:{tls_server.port},ssl=true", patience=3)
    with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
        await store.open()


async def test_without_tls_it_is_not_understood(tls_server: Server) -> None:
    store = RedisStore(f"redis://127.0.0.1:{tls_server.port}", patience=0.2)
    with pytest.raises(StoreUnavailable):
        await store.open()
