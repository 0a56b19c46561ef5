"""The router of jobs in a user's own FastAPI application, over real HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from async_job import Client, JobNotFound, NotAllowed
from async_job.fastapi import inlined
from support.uvicorn import Uvicorn

pytestmark = pytest.mark.realtime

TREE = {"name": "a", "branches": [{"name": "b"}, {"name": "c", "branches": [{"name": "d"}]}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uvicorn]:
    folder: Path = tmp_path_factory.mktemp("router")
    with Uvicorn("integrations.router_application:app", folder) as served:
        yield served


@pytest.fixture
def http(served: Uvicorn) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer secret"}
    with httpx.Client(base_url=served.url, headers=headers, trust_env=False, timeout=60) as http:
        yield http


@pytest.fixture
def document(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def test_each_function_has_an_operation_with_its_schemas_in_the_users_docs(document: dict[str, Any]) -> None:
    operation = document["paths"]["/jobs/v1/job-types/measure/jobs"]["post"]
    assert operation["tags"] == ["jobs"]
    assert operation["description"] == "Measures a tree.\n\nCounts its names, and how deep they go."
    input = operation["requestBody"]["content"]["application/json"]["schema"]
    assert input["required"] == ["tree"]
    assert input["properties"]["deep"] == {"type": "boolean", "default": True}
    tree = input["properties"]["tree"]
    assert tree["description"] == "A tree of names."
    assert tree["properties"]["name"]["minLength"] == 1
    assert tree["properties"]["branches"]["items"] == {}

    job = operation["responses"]["202"]["content"]["application/json"]["schema"]
    [result, gone] = job["properties"]["result"]["anyOf"]
    assert result["properties"].keys() == {"names", "depth"}
    assert gone == {"type": "null"}


def test_the_docs_name_every_operation_about_jobs_and_refer_to_nothing_missing(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert "get" in paths["/jobs/v1/jobs/{id}"]
    assert {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}} in paths[
        "/jobs/v1/jobs/{id}/cancel"
    ]["post"]["parameters"]
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    missing = [
        reference
        for reference in references(document)
        if reference.removeprefix("#/components/schemas/") not in document.get("components", {}).get("schemas", {})
    ]
    assert missing == []


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_a_job_runs_and_its_links_carry_the_prefix(http: httpx.Client) -> None:
    answer = http.post("/jobs/v1/job-types/measure/jobs", json={"tree": TREE})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/jobs/v1/jobs/{answer.json()['id']}"
    done = http.get(answer.headers["Location"], headers={"Prefer": "wait=30"}).json()
    assert done["result"] == {"names": 4, "depth": 3}
    assert http.get(done["links"]["result"]).json() == done["result"]


def test_a_wrong_input_is_a_problem_document(http: httpx.Client) -> None:
    answer = http.post("/jobs/v1/job-types/measure/jobs", json={"tree": {"name": ""}})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_input"


def test_the_users_own_access_control_holds(served: Uvicorn) -> None:
    answer = httpx.get(f"{served.url}/jobs/v1/jobs", trust_env=False)
    assert (answer.status_code, answer.json()) == (401, {"detail": "who are you?"})
    with Client(f"{served.url}/jobs", api_key="wrong") as client, pytest.raises(NotAllowed, match="401"):
        client.submit("measure", {"tree": TREE})


def test_a_client_finds_its_way_below_the_prefix(served: Uvicorn) -> None:
    with Client(f"{served.url}/jobs", api_key="secret") as client:
        job = client.submit("measure", {"tree": TREE})
        assert job.result(timeout=30) == {"names": 4, "depth": 3}
        assert [event.event for event in job.events()][-1] == "result"
        assert job.id in [one.id for one in client.find_all()]
        client.delete(job.id)
        with pytest.raises(JobNotFound):
            job.job()


def test_what_is_for_administrators_is_not_there(http: httpx.Client) -> None:
    assert http.get("/jobs/v1/workers").status_code == 404
    assert http.get("/jobs/metrics").status_code == 404


def test_references_are_put_in_place() -> None:
    schema = {
        "$ref": "#/$defs/A",
        "description": "mine",
        "$defs": {
            "A": {
                "type": "object",
                "description": "its",
                "properties": {"b": {"$ref": "#/$defs/B"}, "c": {"$ref": "#/$defs/C"}},
            },
            "B": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}], "discriminator": {"propertyName": "x"}},
            "C": {"properties": {"discriminator": {"type": "string"}}},
        },
    }
    assert inlined(schema) == {
        "type": "object",
        "description": "mine",
        "properties": {
            "b": {"anyOf": [{}, {"type": "null"}]},
            "c": {"properties": {"discriminator": {"type": "string"}}},
        },
    }
