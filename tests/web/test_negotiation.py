"""Which of text and JSON ``GET /status-job`` answers with."""

import pytest

from support.web import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        (None, False),
        ("*/*", False),
        ("text/plain", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/*", True),
        ("application/json, */*", True),
        ("application/json, text/plain, */*", True),
        ("text/plain, application/json", False),
        ("text/plain;q=0.5, application/json", True),
        ("text/plain, application/json;q=0.9", False),
        ("application/json;q=0", False),
        ("application/json;q=0, */*", False),
        ("application/json;q=nonsense", False),
        ("", False),
        (",;,q=", False),
    ],
)
async def test_accept(plain: Site, accept: str | None, is_json: bool) -> None:
    request = plain.build_request("GET", f"/status-job/{await plain.start()}")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    answer = await plain.send(request)
    assert answer.headers["content-type"].startswith("application/json" if is_json else "text/plain")
    assert answer.text == ('"PENDING"' if is_json else "PENDING")
