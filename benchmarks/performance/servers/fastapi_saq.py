"""FastAPI and SAQ."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from saq import Queue

from servers import URL

queue = Queue.from_url(URL)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await queue.connect()
    yield
    await queue.disconnect()


app = FastAPI(lifespan=lifespan)


@app.post("/start-job")
async def start() -> str:
    return (await queue.enqueue("noop")).key


@app.get("/status-job/{id}")
async def status(id: str) -> str:
    job = await queue.job(id)
    return job.status if job else ""
