"""A FastAPI application of a user's that includes the router of jobs, behind its own access control."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from async_job import Jobs, asgi
from async_job import fastapi as async_job_fastapi

jobs = Jobs()


class Tree(BaseModel):
    """A tree of names."""

    name: str = Field(min_length=1)
    branches: list["Tree"] = []


class Size(BaseModel):
    names: int
    depth: int


@jobs.job
async def measure(tree: Tree, deep: bool = True) -> Size:
    """Measures a tree.

    Counts its names, and how deep they go.
    """
    sizes = [await measure(branch, deep) for branch in tree.branches if deep]
    return Size(names=1 + sum(size.names for size in sizes), depth=1 + max((size.depth for size in sizes), default=0))


async def check_token(authorization: Annotated[str, Header()] = "") -> None:
    if authorization != "Bearer secret":
        raise HTTPException(401, "who are you?")


def run_jobs(app: FastAPI) -> AbstractAsyncContextManager[None]:
    return asgi.lifespan(jobs)


app = FastAPI(lifespan=run_jobs)
app.include_router(async_job_fastapi.router(jobs), prefix="/jobs", tags=["jobs"], dependencies=[Depends(check_token)])


@app.get("/jobs/healthz")
async def health() -> str:
    return "fine"
