"""FastAPI's BackgroundTasks, with a status in Redis. The only one here that runs its jobs in the server's process."""

import uuid

from fastapi import BackgroundTasks, FastAPI
from redis.asyncio import BlockingConnectionPool, Redis

from servers import URL

redis = Redis(connection_pool=BlockingConnectionPool.from_url(URL, decode_responses=True, timeout=None))
app = FastAPI()


async def work(id: str) -> None:
    await redis.set(id, "STARTING")
    await redis.set(id, "COMPLETE")


@app.post("/start-job")
async def start(tasks: BackgroundTasks) -> str:
    id = str(uuid.uuid4())
    await redis.set(id, "PENDING")
    tasks.add_task(work, id)
    return id


@app.get("/status-job/{id}")
async def status(id: str) -> str:
    return await redis.get(id) or ""
