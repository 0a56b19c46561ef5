"""The document is valid, tells of every route and every function, and what it says holds for real answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.routing import Mount

from async_job import Jobs, asgi
from async_job.web.app import operations
from async_job.web.closing import Closing
from async_job.web.openapi import document
from support.web import Site, make_jobs, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPES = ("add", "fail", "keep", "steps", "demo")
Document = dict[str, Any]


async def read(site: Site) -> Document:
    answer = await site.get("/openapi.json")
    assert answer.status_code == 200
    found: Document = answer.json()
    validate(found)
    return found


def named(document: Document) -> dict[str, dict[str, Any]]:
    """Its operations, as in ``GET /v1/jobs``."""
    return {f"{m.upper()} {path}": one for path, found in document["paths"].items() for m, one in found.items()}


def check(document: Document, schema: dict[str, Any], value: Any) -> None:
    """That the value is as the schema says. References begin at the document's root."""
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def bodies(document: Document) -> Iterator[dict[str, Any]]:
    """All that is said of what is sent and answered."""
    for operation in named(document).values():
        answers = [one for one in operation["responses"].values() if "content" in one]
        for one in [*answers, *([operation["requestBody"]] if "requestBody" in operation else [])]:
            yield from one["content"].values()


async def test_all_routes_and_functions_are_in_it(plain: Site) -> None:
    found = named(await read(plain))
    expected = {"GET /openapi.json"}
    for operation in operations(make_jobs("memory://"), Closing()):
        expected |= {f"{operation.method} {operation.path.replace('{type}', type)}" for type in TYPES}
    assert set(found) == expected
    ids = [operation["operationId"] for operation in found.values()]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"] and operation["description"] for operation in found.values())
    assert all("500" in operation["responses"] for operation in found.values())


async def test_a_function_has_a_typed_operation(plain: Site) -> None:
    document = await read(plain)
    operation = named(document)["POST /v1/job-types/add/jobs"]
    assert operation["description"].startswith("Adds two numbers.")
    body = operation["requestBody"]
    assert body["required"]
    assert body["content"]["application/json"]["example"] == {"a": 1, "b": 1}
    schemas = document["components"]["schemas"]
    assert schemas["add.input"]["properties"]["a"] == {"type": "integer"}
    assert schemas["add.job"]["properties"]["type"] == {"const": "add"}
    assert schemas["add.result"] == {"type": "integer"}
    assert not named(document)["POST /v1/job-types/steps/jobs"]["requestBody"]["required"]
    assert named(document)["GET /healthz"]["security"] == []
    assert operation["security"] == [{"bearer": []}, {"header": []}]


async def test_links_lead_from_a_new_job_to_what_can_be_done_with_it(plain: Site) -> None:
    found = named(await read(plain))
    places = {operation["operationId"]: name for name, operation in found.items()}
    for name in ("POST /v1/jobs", "POST /v1/job-types/add/jobs", "POST /start-job/add", "POST /v1/jobs/batch"):
        for status in {"200", "202"} & found[name]["responses"].keys():
            links = found[name]["responses"][status]["links"].values()
            assert {places[link["operationId"]] for link in links} == {
                "GET /status-job/{id}",
                "GET /v1/jobs/{id}",
                "GET /v1/jobs/{id}/events",
                "GET /v1/jobs/{id}/result",
                "POST /v1/jobs/{id}/cancel",
                "POST /v1/jobs/{id}/retry",
                "POST /v1/jobs/{id}/rerun",
                "DELETE /v1/jobs/{id}",
                "POST /v1/tickets",
            }


async def test_examples_are_as_the_schemas_say(plain: Site) -> None:
    document = await read(plain)
    examples = [body for body in bodies(document) if "example" in body]
    assert len(examples) > 2 * len(TYPES)
    for body in examples:
        check(document, body["schema"], body["example"])


async def test_headers_that_single_out_a_request_or_an_answer_are_not_filled_in(plain: Site) -> None:
    """Pages fill examples in: with a key so filled in, every try after the first would get the first job again."""
    operations = named(await read(plain)).values()
    headers = [one for operation in operations for one in operation.get("parameters", ()) if one["in"] == "header"]
    assert {one["name"] for one in headers} == {"Idempotency-Key", "Prefer", "If-None-Match", "Last-Event-ID"}
    assert {one["name"] for one in headers if "example" in one} == {"Prefer"}


async def test_real_answers_are_as_the_schemas_say() -> None:
    async with serve(make_jobs("memory://"), worker=True) as site:
        document = await read(site)
        schemas = document["components"]["schemas"]
        for type, input in (("add", {"a": 2}), ("fail", {}), ("steps", {})):
            answer = await site.post(f"/v1/job-types/{type}/jobs", json=input, headers={"Prefer": "wait=20"})
            assert answer.json()["done"], answer.text
            check(document, schemas[f"{type}.job"], answer.json())
            page = await site.get(answer.json()["links"]["events"], headers={"Accept": "application/json"})
            check(document, schemas["JobEvents"], page.json())
        check(document, schemas["JobList"], (await site.get("/v1/jobs")).json())
        check(document, schemas["Stats"], (await site.get("/v1/stats")).json())
        check(document, schemas["Problem"], (await site.get("/v1/jobs/none")).json())


async def test_examples_are_taken(plain: Site) -> None:
    sent = 0
    for name, operation in named(await read(plain)).items():
        example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            answer = await plain.post(name.removeprefix("POST "), json=example)
            assert answer.is_success, (name, answer.text)
            sent += 1
    assert sent >= 2 * len(TYPES)


async def test_two_functions_with_different_types_of_one_name() -> None:
    jobs = Jobs(store="memory://")

    def first() -> type:
        @dataclass
        class Point:
            x: int

        return Point

    def second() -> type:
        @dataclass
        class Point:
            name: str
            next: list[Any]

        return Point

    for name, made in (("one", first()), ("two", second())):

        async def move(points: list[Any]) -> None:
            """Moves."""

        move.__annotations__["points"] = list[made]  # type: ignore[valid-type]
        jobs.job(name=name)(move)
    found = document(jobs, operations(jobs, Closing()))
    validate(found)
    for name, good, bad in (("one", {"x": 1}, {"name": "a", "next": []}), ("two", {"name": "a", "next": []}, {"x": 1})):
        schema = {"$ref": f"#/components/schemas/{name}.input"}
        check(found, schema, {"points": [good]})
        validator = Draft202012Validator({**schema, "components": found["components"]})
        assert not validator.is_valid({"points": [bad]})


async def test_a_function_that_is_registered_later_is_in_it() -> None:
    jobs = make_jobs("memory://")
    async with serve(jobs) as site:
        assert "/v1/job-types/late/jobs" not in (await read(site))["paths"]

        @jobs.job
        async def late() -> None:
            """Comes late."""

        assert "/v1/job-types/late/jobs" in (await read(site))["paths"]


async def test_where_it_is_mounted_is_its_server() -> None:
    jobs = make_jobs("memory://")
    mounted = Starlette(routes=[Mount("/a/b", asgi.app(jobs))], lifespan=lambda app: asgi.opened(jobs))
    async with serve(jobs, app=mounted) as site:
        answer = await site.get("/a/b/openapi.json")
        assert answer.json()["servers"] == [{"url": "/a/b"}]
        validate(answer.json())
