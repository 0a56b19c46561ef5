"""Pages of other sites, which a browser on this machine lets reach a loopback address."""

import pytest

from async_job import Jobs
from support.web import Site, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "nonsense"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "{own}"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "{own}"}, 200),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
async def test_another_sites_page_changes_nothing(plain: Site, headers: dict[str, str], status: int) -> None:
    own = str(plain.base_url).rstrip("/")
    sent = {name: value.replace("{own}", own) for name, value in headers.items()}
    answer = await plain.post("/start-job", headers=sent)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "cross_site"
    # What changes nothing is answered; the browser keeps it from the page.
    assert (await plain.get("/healthz", headers=sent)).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:5079", 200),
        ("jobs.localhost:1", 200),
        ("127.0.0.1", 200),
        ("127.1.2.3:80", 200),
        ("[::1]:5079", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:5079", 421),
        ("192.168.1.1", 421),
        ("[fe80::1]", 421),
        ("localhost:80:evil", 421),
        ("evil@localhost", 421),
    ],
)
async def test_a_loopback_address_has_loopback_names_only(plain: Site, host: str, status: int) -> None:
    for method in ("GET", "POST"):
        answer = await plain.request(method, "/docs" if method == "GET" else "/start-job", headers={"Host": host})
        assert answer.status_code == status
        if status == 421:
            assert answer.json()["code"] == "host_not_loopback"


async def test_that_the_server_lives_is_told_by_any_name(plain: Site) -> None:
    assert (await plain.get("/healthz", headers={"Host": "jobs.example"})).status_code == 200


async def test_allow_open_lets_a_proxy_pass_its_own_name() -> None:
    async with serve(Jobs(store="memory://", allow_open=True)) as site:
        assert (await site.get("/docs", headers={"Host": "jobs.example"})).status_code == 200
        foreign = {"Host": "jobs.example", "Origin": "https://evil.example"}
        assert (await site.post("/start-job", headers=foreign)).status_code == 403


async def test_without_a_host_there_is_no_name_to_refuse(plain: Site) -> None:
    answer = await plain.exchange(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b" 200 OK\r\n" in answer
