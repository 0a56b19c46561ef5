"""The page that shows the document: it renders the operations, and asks nobody else."""

import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import async_job
from async_job import asgi
from async_job.web.handlers.documents import ASSETS
from support.browser import show
from support.web import Site, make_jobs, serve

VENDOR = Path(async_job.__file__).parent / "web" / "static" / "vendor"


def test_vendored_files_are_unchanged() -> None:
    vendored = tomllib.loads((VENDOR / "VENDOR.toml").read_text("utf-8"))
    found: dict[str, str] = {}
    for name, package in vendored.items():
        assert package["license"]
        assert package["version"]
        found |= {f"{name}/{file}": checksum for file, checksum in package["sha256"].items()}
    there = {str(path.relative_to(VENDOR)): path for path in VENDOR.rglob("*") if path.is_file()}
    del there["VENDOR.toml"]
    assert {name: sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == found


@pytest.mark.asyncio(loop_scope="module")
async def test_assets(plain: Site) -> None:
    page = await plain.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    for name in ASSETS:
        assert f'"/docs/{name}"' in page.text
        answer = await plain.get(f"/docs/{name}")
        assert answer.status_code == 200
        again = await plain.get(f"/docs/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    for name in ("docs.html", "VENDOR.toml", "..%2fdocs.html", "vendor"):
        assert (await plain.get(f"/docs/{name}")).json()["code"] == "unknown_path"


@pytest.mark.realtime
async def test_a_browser_shows_the_operations_and_asks_nobody_else(tmp_path: Path) -> None:
    jobs = make_jobs("memory://")
    mounted = Starlette(routes=[Mount("/below", asgi.app(jobs))], lifespan=lambda app: asgi.opened(jobs))
    async with serve(jobs, app=mounted) as site:
        shown = await show(f"http://127.0.0.1:{site.port}/below/docs", tmp_path)
        operations = [
            f"{method} {path}"
            for path, found in (await site.get("/below/openapi.json")).json()["paths"].items()
            for method in found
        ]
    assert shown.asked == {f"127.0.0.1:{site.port}"}
    assert shown.told == []
    assert shown.html.count('class="opblock-summary-path"') == len(operations)
    assert 'data-path="/v1/job-types/add/jobs"' in shown.html
