"""Who is let in where: every route with every scope, and with no, an unknown and a revoked key."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio

from async_job import Jobs
from async_job.access.keys import SCOPES, AccessScope, Keys
from async_job.web.app import operations
from async_job.web.closing import Closing
from async_job.web.handlers.documents import Documents
from async_job.web.operation import Operation
from support.web import Site, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUID = "0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10"

# What each route is expected to need, written down a second time: a route that is new, or asks for less, fails.
NEEDS = {
    "none": ["GET /healthz", "GET /readyz", "GET /openapi.json", "GET /docs", "GET /docs/{name}"],
    "create": [
        "POST /start-job",
        "POST /start-job/{type}",
        "POST /v1/jobs",
        "POST /v1/jobs/batch",
        "POST /v1/job-types/{type}/jobs",
        "POST /v1/jobs/{id}/rerun",
    ],
    "read": [
        "GET /status-job/{id}",
        "GET /v1/jobs",
        "GET /v1/jobs/{id}",
        "GET /v1/jobs/{id}/result",
        "GET /v1/jobs/{id}/events",
        "GET /v1/job-types",
        "GET /v1/queues",
        "POST /v1/tickets",
    ],
    "manage": [
        "DELETE /v1/jobs/{id}",
        "POST /v1/jobs/{id}/cancel",
        "POST /v1/jobs/{id}/retry",
        "POST /v1/jobs/bulk/cancel",
        "POST /v1/jobs/bulk/retry",
        "POST /v1/jobs/bulk/delete",
    ],
    "admin": [
        "POST /v1/queues/{queue}/pause",
        "POST /v1/queues/{queue}/resume",
        "GET /v1/workers",
        "GET /v1/stats",
        "GET /v1/events",
        "GET /v1/webhooks/endpoints",
        "POST /v1/webhooks/endpoints",
        "DELETE /v1/webhooks/endpoints/{name}",
        "GET /v1/webhooks/deliveries",
        "POST /v1/webhooks/deliveries/{id}/replay",
    ],
    "metrics": ["GET /metrics"],
}
EXPECTED = {route: needs for needs, routes in NEEDS.items() for route in routes}

JOBS = Jobs(store="memory://")
ROUTES = Documents(JOBS, operations(JOBS, Closing())).described()
"""As the application has them."""


def name_of(route: Operation) -> str:
    return f"{route.method} {route.path}"


class Locked(NamedTuple):
    """A server with a key of each scope, and one that was revoked."""

    site: Site
    keys: dict[AccessScope, str]
    revoked: str


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def locked() -> AsyncIterator[Locked]:
    jobs = Jobs(store="memory://")
    async with serve(jobs) as site:
        keys = Keys(await jobs.store())
        made: dict[AccessScope, str] = {scope: (await keys.create(scope, [scope]))[1] for scope in SCOPES}
        record, revoked = await keys.create("revoked", SCOPES)
        await keys.revoke(record.id)
        yield Locked(site, made, revoked)


async def ask(site: Site, route: Operation, **headers: str) -> httpx.Response:
    """The route with something in each gap of its path. A stream is asked for as a page."""
    path = route.path.format(id=GUID, type="demo", queue="other", name="docs.css")
    return await site.request(
        route.method,
        path,
        json=None if route.request is None else {},
        headers={"Accept": "application/json", **headers},
    )


def refused(answer: httpx.Response, status: int, code: str) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith('Bearer realm="async-job"')
    return bool(answer.json()["code"] == code)


async def test_every_route_is_in_the_table() -> None:
    assert {name_of(route): route.needs for route in ROUTES} == EXPECTED


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
@pytest.mark.parametrize("scope", SCOPES)
async def test_every_route_with_every_scope(locked: Locked, route: Operation, scope: AccessScope) -> None:
    answer = await ask(locked.site, route, Authorization=f"Bearer {locked.keys[scope]}")
    needs = EXPECTED[name_of(route)]
    if needs in ("none", scope) or scope == "admin":
        assert answer.status_code not in (401, 403, 405, 429, 500), answer.text
    else:
        assert refused(answer, 403, "scope_missing")
        assert f'scope="{needs}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_every_route_without_a_good_key(locked: Locked, route: Operation) -> None:
    good = locked.keys["admin"]
    bad = {
        "key_missing": [{}],
        "key_unknown": [
            {"Authorization": f"Bearer {locked.revoked}"},
            {"Authorization": f"Bearer {good[:-1]}{'a' if good[-1] != 'a' else 'b'}"},
            {"Authorization": f"Basic {good}"},
            {"Authorization": good},
            {"Authorization": "Bearer"},
            {"X-API-Key": locked.revoked},
            {"X-API-Key": f"{good}, {good}"},
            {"X-API-Key": ""},
        ],
    }
    for code, attempts in bad.items():
        for headers in attempts:
            answer = await ask(locked.site, route, **headers)
            if route.needs == "none":
                assert answer.status_code == 200
            else:
                assert refused(answer, 401, code)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_a_key_in_an_address_opens_nothing(locked: Locked, route: Operation) -> None:
    good = locked.keys["admin"]
    path = route.path.format(id=GUID, type="demo", queue="other", name="docs.css")
    for name in ("key", "api_key", "access_token", "ticket"):
        answer = await locked.site.request(route.method, path, params={name: good})
        if route.needs != "none":
            assert answer.status_code == 401, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer   {}"},
        {"X-API-Key": "{}"},
        {"X-API-Key": "{}", "Authorization": "Bearer of-another-application"},
    ],
)
async def test_ways_to_send_a_key(locked: Locked, headers: dict[str, str]) -> None:
    sent = {name: value.format(locked.keys["read"]) for name, value in headers.items()}
    assert (await locked.site.get("/v1/job-types", headers=sent)).status_code == 200


async def test_what_is_no_route_says_nothing(locked: Locked) -> None:
    assert (await locked.site.get("/v1/nothing")).status_code == 404
    assert (await locked.site.options("/v1/jobs")).status_code == 204
    assert (await locked.site.put("/v1/jobs")).status_code == 405
    assert (await locked.site.head("/v1/jobs")).status_code == 401


async def test_nothing_is_read_of_a_body_before_the_key_is_known(locked: Locked) -> None:
    answer = await locked.site.post("/v1/jobs", content=b"no json")
    assert refused(answer, 401, "key_missing")
