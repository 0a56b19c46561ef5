"""FastAPI and Celery, whose calls block: its functions are plain ones, which FastAPI runs in threads."""

from celery import Celery
from fastapi import FastAPI

from servers import URL

queue = Celery("server", broker=URL, backend=URL)
app = FastAPI()


@queue.task(name="noop")
def noop() -> int:
    return 1


@app.post("/start-job")
def start() -> str:
    return noop.delay().id


@app.get("/status-job/{id}")
def status(id: str) -> str:
    return queue.AsyncResult(id).status
