"""FastAPI and arq."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job
from fastapi import FastAPI

from servers import URL


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.pool = await create_pool(RedisSettings.from_dsn(URL))
    yield
    await app.state.pool.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/start-job")
async def start() -> str:
    return (await app.state.pool.enqueue_job("noop")).job_id


@app.get("/status-job/{id}")
async def status(id: str) -> str:
    return (await Job(id, app.state.pool).status()).value
