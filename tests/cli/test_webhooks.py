"""`async-job webhooks`: on the store itself, and beside a server that delivers."""

import json
import sys
from io import StringIO
from pathlib import Path

import httpx
import pytest

from async_job.cli.main import main
from async_job.webhooks.signing import new_secret
from async_job.webhooks.vault import Vault, new_key
from support.commands import Serving, run_command
from support.receiver import Receiver
from support.until import until

URL = "https://example.com/hook"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    key = new_key()
    monkeypatch.setenv("ASYNC_JOB_WEBHOOK_KEY", key)
    return key


def out_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["webhooks", *arguments]) == 0
    return capsys.readouterr().out.strip()


def test_a_new_key_is_good_for_the_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNC_JOB_WEBHOOK_KEY", out_of(capsys, "key"))
    assert out_of(capsys, "secret", URL).startswith("whsec_")


def test_endpoints_are_added_listed_and_removed(capsys: pytest.CaptureFixture[str], key: str) -> None:
    assert out_of(capsys, "add", "b", URL).startswith("whsec_")
    out_of(capsys, "add", "a", "https://example.org/")
    rows = [line.split("\t") for line in out_of(capsys, "list").splitlines()]
    assert [row[:3] for row in rows] == [["a", "https://example.org/", "enabled"], ["b", URL, "enabled"]]
    listed = json.loads(out_of(capsys, "list", "--json"))["items"]
    assert [one["name"] for one in listed] == ["a", "b"]
    out_of(capsys, "remove", "a")
    assert len(json.loads(out_of(capsys, "list", "--json"))["items"]) == 1


def test_the_receivers_secret_may_be_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    secret = new_secret()
    assert out_of(capsys, "add", "a", URL, "--secret", secret) == secret
    monkeypatch.setattr(sys, "stdin", StringIO(f"{secret}\n"))
    assert out_of(capsys, "add", "b", URL, "--secret", "-") == secret
    assert secret not in out_of(capsys, "list", "--json")


def test_the_secret_of_a_url(capsys: pytest.CaptureFixture[str], key: str) -> None:
    assert [out_of(capsys, "secret", URL)] == Vault(key).secrets_of(URL)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "a", "http://example.com"], "https://"),
        (["add", "a b", URL], "1 to 64 letters"),
        (["add", "a", URL, "--secret", "x"], "whsec_"),
        (["add", "there", URL], "already"),
        (["remove", "nobody"], "no webhook endpoint 'nobody'"),
        (["replay", "msg_a_1"], "no webhook delivery msg_a_1"),
    ],
)
def test_what_cannot_be(capsys: pytest.CaptureFixture[str], key: str, arguments: list[str], says: str) -> None:
    out_of(capsys, "add", "there", URL)
    assert main(["webhooks", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_without_a_key_no_endpoint_can_be_added(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["webhooks", "add", "a", URL]) == 2
    assert "async-job webhooks key" in capsys.readouterr().err


async def start(url: str, webhook: str) -> str:
    """The id of a job that names the webhook."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.post("/v1/jobs", json={"type": "demo", "webhook": webhook})
    assert answer.status_code == 202, answer.text
    id = answer.json()["id"]
    assert isinstance(id, str)
    return id


@pytest.mark.realtime
@pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)
async def test_a_server_delivers_and_replays(store_url: str, tmp_path: Path) -> None:
    environ = {
        "ASYNC_JOB_STORE": store_url,
        "ASYNC_JOB_WEBHOOK_KEY": new_key(),
        "ASYNC_JOB_WEBHOOK_ALLOW_HTTP": "true",
        "ASYNC_JOB_WEBHOOK_ALLOW_PRIVATE": "true",
        "ASYNC_JOB_DEMO_SECONDS": "0",
    }

    def command(*arguments: str) -> str:
        done = run_command("webhooks", *arguments, folder=tmp_path, environ=environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def deliveries() -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(command("deliveries", "--json"))["items"]
        return found

    async with Receiver().serving() as receiver:
        with Serving("--workers", "1", folder=tmp_path, environ=environ) as server:
            secret = command("add", "hook", receiver.url)
            id = await start(server.url, "hook")
            await until(lambda: receiver.received)
            assert receiver.received[0].verified(secret)["data"]["id"] == id
            await until(lambda: deliveries()[0]["state"] == "delivered")
            (delivery,) = deliveries()
            assert delivery["id"] == receiver.received[0].id
            assert [line.split("\t")[0] for line in command("deliveries", "--job", id).splitlines()] == [delivery["id"]]
            command("replay", receiver.received[0].id)
            await until(lambda: len(receiver.received) == 2)
            assert receiver.received[1].id == receiver.received[0].id
            assert "whsec_" not in server.log
