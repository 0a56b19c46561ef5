"""Keys with a real server on all addresses: made and revoked by commands while it runs, and in no log."""

import time
from pathlib import Path

import httpx
import pytest

from support.commands import Serving, run_command

pytestmark = pytest.mark.realtime

KNOWN_WITHIN = 5.0


def make(folder: Path, scopes: str) -> str:
    done = run_command("keys", "create", "--name", "somebody", "--scopes", scopes, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_keys_by_command_on_a_server_that_runs(empty_folder: Path) -> None:
    admin = make(empty_folder, "admin")
    arguments = ("--host", "0.0.0.0", "--workers", "1")
    environ = {"ASYNC_JOB_LOG_LEVEL": "debug", "ASYNC_JOB_DEMO_SECONDS": "0.1"}
    with Serving(*arguments, folder=empty_folder, environ=environ) as serving:
        with httpx.Client(base_url=serving.url, trust_env=False) as client:

            def status(text: str) -> int:
                return client.get("/v1/jobs", headers={"Authorization": f"Bearer {text}"}).status_code

            assert client.get("/v1/jobs").status_code == 401
            assert status(admin) == 200
            creator, reader = make(empty_folder, "create"), make(empty_folder, "read")
            deadline = time.monotonic() + KNOWN_WITHIN
            while status(reader) != 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            client.get(f"/v1/jobs/{reader}", params={"key": reader, "ticket": admin})
            client.post("/v1/jobs", headers={"X-API-Key": reader, "X-Request-Id": reader}, content=reader)
            client.post("/v1/jobs", headers={"X-API-Key": admin}, json={"type": admin})
            assert run_command("keys", "revoke", reader.split("_")[1], folder=empty_folder).returncode == 0
            deadline = time.monotonic() + KNOWN_WITHIN
            while status(reader) != 401:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert status(admin) == 200
        for text, code, said in (
            (reader, 2, "was revoked (it was that of ASYNC_JOB_API_KEY)"),
            (admin, 0, ""),
        ):
            environ = {"ASYNC_JOB_URL": serving.url, "ASYNC_JOB_API_KEY": text}
            done = run_command("submit", "demo", "--wait", folder=empty_folder, environ=environ)
            assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        environ = {"ASYNC_JOB_URL": serving.url, "ASYNC_JOB_API_KEY": creator}
        started = run_command("submit", "demo", "seconds=0.5", folder=empty_folder, environ=environ)
        assert (started.returncode, started.stderr, len(started.stdout)) == (0, "", 37)
        waited = run_command("submit", "demo", "--wait", folder=empty_folder, environ=environ)
        assert (waited.returncode, waited.stdout) == (2, "")
        assert "is started, but cannot be waited for: this needs a key with the scope read" in waited.stderr
        keyless = run_command("submit", "demo", folder=empty_folder, environ={"ASYNC_JOB_URL": serving.url})
        assert (keyless.returncode, keyless.stderr.endswith("(for these commands: set ASYNC_JOB_API_KEY)\n")) == (
            2,
            True,
        )
        assert serving.stop() == 0
        for text in (admin, reader):
            assert text.rpartition("_")[2] not in serving.log + serving.greeting
