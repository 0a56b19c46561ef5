"""`async-job keys`: make, list and revoke, on the store itself."""

import json
import re
import sys
from pathlib import Path

import pytest

from async_job import Jobs
from async_job.cli.main import main
from async_job.cli.store_access import place_of

STORE = ["--store", "sqlite:///jobs.db"]


def make(capsys: pytest.CaptureFixture[str], *more: str, name: str = "ci", scopes: str = "create,read") -> str:
    assert main(["keys", "create", "--name", name, "--scopes", scopes, *more, *STORE]) == 0
    return capsys.readouterr().out.strip()


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert main(["keys", "list", "--json", *STORE]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_a_key_is_printed_once(capsys: pytest.CaptureFixture[str], empty_folder: Path) -> None:
    text = make(capsys, "--rate", "60")
    found = re.fullmatch(r"aj_([0-9a-z]{10})_[0-9A-Za-z]{43}", text)
    assert found
    [key] = listed(capsys)
    at = key.pop("created_at")
    assert isinstance(at, str)
    assert key == {
        "id": found[1],
        "name": "ci",
        "scopes": ["create", "read"],
        "rate": 60,
        "hint": text[-4:],
        "revoked_at": None,
    }
    stored = b"".join(path.read_bytes() for path in empty_folder.glob("jobs.db*") if path.is_file())
    assert found[1].encode() in stored
    assert text.rpartition("_")[2].encode() not in stored


def test_keys_are_listed_with_those_that_were_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = make(capsys, name="first"), make(capsys, name="second", scopes="admin")
    id = first.split("_")[1]
    assert main(["keys", "revoke", id, *STORE]) == 0
    assert main(["keys", "revoke", id, *STORE]) == 0
    keys = {key["name"]: key for key in listed(capsys)}
    assert keys["first"]["revoked_at"] is not None
    assert keys["second"]["revoked_at"] is None
    assert main(["keys", "list", *STORE]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    rows = {name: (id, scopes, rate, hint, state.split()[0]) for id, name, scopes, rate, hint, state in lines}
    assert rows["first"] == (id, "create,read", "any number", first[-4:], "revoked")
    assert rows["second"] == (second.split("_")[1], "admin", "any number", second[-4:], "since")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--name", "a b", "--scopes", "read", *STORE], "name: 'a b' must be 1 to 64 letters"),
        (["create", "--name", "ci", "--scopes", "write", *STORE], "scopes: 'write' is none; there are create, read"),
        (["create", "--name", "ci", "--scopes", "", *STORE], "scopes: '' is none"),
        (["create", "--name", "ci", "--scopes", "read", "--rate", "0", *STORE], "rate must be from 1 to"),
        (["create", "--name", "ci", *STORE], "Missing option '--scopes'; see `async-job keys create --help`"),
        (["create", "--name", "ci", "--scopes", "read", "--store", "memory://"], "memory:// lives inside the server"),
        (["list", *STORE], "there is no file"),
        (["revoke", "k3x9f0a2bq", *STORE], "there is no file"),
    ],
    ids=lambda value: " ".join(value[:5]) if isinstance(value, list) else None,
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_key_that_is_not_there_cannot_be_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    make(capsys)
    assert main(["keys", "revoke", "nobody", *STORE]) == 2
    assert "there is no key 'nobody'; `async-job keys list` shows all" in capsys.readouterr().err


NO_KEYS = "there are no keys in sqlite:///jobs.db; make one by `async-job keys create --store sqlite:///jobs.db`"


def test_serve_refuses_other_machines_while_no_key_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    serve = ["serve", "--host", "0.0.0.0", *STORE]
    assert main(serve) == 2
    assert NO_KEYS in capsys.readouterr().err
    id = make(capsys).split("_")[1]
    assert main(["keys", "revoke", id, *STORE]) == 0
    assert main(serve) == 2
    assert NO_KEYS in capsys.readouterr().err


def test_keys_go_to_the_store_that_the_program_names(
    capsys: pytest.CaptureFixture[str], empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "shop_with_keys.py").write_text(
        "from async_job import Jobs\njobs = Jobs(store='sqlite:///own.db')\n"
    )
    serve = ["serve", "shop_with_keys:jobs", "--host", "0.0.0.0"]
    assert main(serve) == 2
    refusal = capsys.readouterr().err
    assert "no keys in sqlite:///own.db; make one by `async-job keys create --app shop_with_keys:jobs`" in refusal
    monkeypatch.delitem(sys.modules, "shop_with_keys", raising=False)
    of_program = ["--app", "shop_with_keys:jobs"]
    assert main(["keys", "create", "--name", "ci", "--scopes", "read", *of_program]) == 0
    made = capsys.readouterr()
    assert made.err == "async-job: written to sqlite:///own.db\n"
    assert [path.name for path in empty_folder.glob("*.db")] == ["own.db"]
    assert main(["keys", "revoke", made.out.split("_")[1], *of_program]) == 0
    assert capsys.readouterr().err == "async-job: written to sqlite:///own.db\n"
    assert main(["check", *of_program]) == 0
    assert capsys.readouterr().out.startswith("sqlite:///own.db: ")


def test_the_place_of_a_store_has_its_namespace_and_no_password() -> None:
    jobs = Jobs(store="redis://:secret@db:6379", namespace="shop")
    assert place_of(jobs.settings) == "redis://:***@db:6379, namespace shop"
