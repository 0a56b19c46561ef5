"""200 bad bodies, by real HTTP. None is taken, and none is an error of the server's."""

import json

from httpx import Response

from support.bad_bodies import BODIES, CASES
from support.web import Site, make_jobs, serve


def check(answer: Response, case: tuple[str, str]) -> None:
    assert 400 <= answer.status_code < 500, (case, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json", case
    assert "x-injected" not in answer.headers
    assert json.loads(answer.content)["status"] == answer.status_code


async def test_200_bad_bodies() -> None:
    assert len(CASES) == 200
    jobs = make_jobs("memory://")
    async with serve(jobs) as site:
        for path, name in CASES:
            answer = await site.post(path, content=BODIES[name], headers={"Content-Type": "application/json"})
            check(answer, (path, name))
        await nothing_was_stored(site)
        assert (await site.post("/v1/job-types/add/jobs", json={"a": 1})).status_code == 202


async def nothing_was_stored(site: Site) -> None:
    assert (await site.get("/v1/jobs")).json()["items"] == []
    assert (await site.get("/v1/webhooks/endpoints")).json()["items"] == []
