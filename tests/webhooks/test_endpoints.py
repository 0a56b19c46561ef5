"""Endpoints in the store, and what a job may name."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from async_job import Jobs
from async_job.core.submission import Options
from async_job.errors import EndpointExists, EndpointNotFound, InvalidOptions
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.endpoints import Endpoints
from async_job.webhooks.targets import check_targets, is_url
from async_job.webhooks.url import LONGEST_URL, wrong_url
from async_job.webhooks.vault import Vault, new_key

STRICT = Settings(webhook_key=new_key())
URL = "https://example.com/hook"


async def test_what_is_added_is_there(store: Store, settings: Settings) -> None:
    endpoints = Endpoints(store, settings)
    b, secret = await endpoints.add("b", URL)
    a, _ = await endpoints.add("a", URL)
    assert await endpoints.all() == [a, b]
    assert await endpoints.get("b") == b
    assert Vault(settings.webhook_key).unseal(b.secret) == secret
    with pytest.raises(EndpointExists):
        await endpoints.add("b", URL)
    await endpoints.remove("b")
    with pytest.raises(EndpointNotFound):
        await endpoints.get("b")
    with pytest.raises(EndpointNotFound):
        await endpoints.remove("b")


async def test_one_that_is_another_by_now_is_not_disabled(store: Store, settings: Settings) -> None:
    endpoints = Endpoints(store, settings)
    first, _ = await endpoints.add("a", URL)
    await endpoints.remove("a")
    await endpoints.disable(first)
    assert await endpoints.all() == []
    second, _ = await endpoints.add("a", URL)
    await endpoints.disable(first)
    assert await endpoints.get("a") == second
    await endpoints.disable(second)
    assert await endpoints.get("a") == replace(second, enabled=False)


def files_below(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_the_store_holds_no_secret(store: Store, store_url: str, settings: Settings, tmp_path: Path) -> None:
    """Neither in what it answers nor, where they can be read, in its files."""
    _, secret = await Endpoints(store, settings).add("a", URL)
    held = [*(await store.administration.documents("endpoint")).values()]
    if store_url.startswith("sqlite:"):
        held += files_below(tmp_path)
        assert any(URL.encode() in one for one in held[1:])
    bare = secret.removeprefix("whsec_")
    assert not any(bare.encode() in one for one in held)


async def test_a_job_may_name_endpoints_and_urls(store: Store, settings: Settings) -> None:
    await Endpoints(store, settings).add("a", URL)
    given = ["a", None, "b", URL, "http://", "a b"]
    found = await check_targets(store, given, settings)
    assert [error is None for error in found] == [True, True, False, True, False, False]
    assert {error.option for error in found if error is not None} == {"webhook"}
    none = await check_targets(store, given, replace(settings, webhook_key=""))
    assert [error is None for error in none] == [False, True, False, False, False, False]


@pytest.mark.parametrize(("target", "url"), [("a", False), ("a.b-c_d", False), (URL, True), ("http:", True)])
def test_what_counts_as_a_url(target: str, url: bool) -> None:
    assert is_url(target) is url


@pytest.mark.parametrize(
    "url",
    [URL, "https://example.com", "https://example.com:8443/a?b=c&d=%20", "HTTPS://EXAMPLE.COM/", "https://[2606:4700::1]/",
     "https://93.184.215.14/", "https://xn--mgba3a4f16a.example/", f"{URL}?{'x' * (LONGEST_URL - len(URL) - 1)}"],
)  # fmt: skip
def test_urls_that_are_good(url: str) -> None:
    assert wrong_url(url, STRICT) is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"{URL}?{'x' * LONGEST_URL}", "at most 2048 characters"),
        ("", "no URL"),
        ("https://", "no URL"),
        ("https:///path", "no URL"),
        ("https://exa mple.com/", "no URL"),
        ("https://example.com/\n", "no URL"),
        ("https://exämple.com/", "no URL"),
        ("https://example.com:port/", "no URL"),
        ("https://example.com:70000/", "no URL"),
        ("https://example.com:0/", "no URL"),
        ("https://[::1/", "no URL"),
        ("//example.com/", "has to begin with https"),
        ("http://example.com/", "has to begin with https"),
        ("ftp://example.com/", "has to begin with https"),
        ("https://ada@example.com/", "user name"),
        ("https://ada:pw@example.com/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://example.com/#a", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:10.0.0.1]:8443/", "mapped"),
        ("https://169.254.169.254/latest/meta-data", "link-local"),
        ("https://localhost:8443/", "this machine"),
        ("https://a.localhost/", "this machine"),
    ],
)
def test_urls_that_are_not(url: str, says: str) -> None:
    assert says in (wrong_url(url, STRICT) or "")


@pytest.mark.parametrize("url", ["http://example.com/", "http://127.0.0.1:80/", "https://localhost/"])
def test_settings_for_development_allow_more(url: str, settings: Settings) -> None:
    assert wrong_url(url, settings) is None


async def test_a_submit_in_process_is_checked_too(store_url: str) -> None:
    async with Jobs(store=store_url, webhook_key=new_key()) as jobs:
        with pytest.raises(InvalidOptions, match="no endpoint 'nobody'"):
            await jobs.submit("demo", b"{}", Options(webhook="nobody"))
        handle = await jobs.submit("demo", b"{}", Options(webhook=URL))
        assert (await jobs.get(handle.id)).webhook == URL
