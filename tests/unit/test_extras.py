"""What is said when the package of an extra is missing is what that extra adds."""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from async_job.errors import AsyncJobError
from async_job.webhooks.vault import Vault
from async_job.worker.reloader import check_reload

ROOT = Path(__file__).parents[2]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]


@pytest.mark.parametrize(
    ("extra", "needs", "use"),
    [
        ("reload", "watchfiles", check_reload),
        ("webhooks", "cryptography", lambda: Vault("any key")),
    ],
)
def test_a_missing_package_is_named_as_it_can_be_installed(
    extra: str, needs: str, use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, needs, None)
    monkeypatch.setitem(sys.modules, f"{needs}.fernet", None)
    with pytest.raises(AsyncJobError, match=rf"extra `{extra}`: pip install {needs}$"):
        use()
    assert [requirement.partition(">")[0] for requirement in EXTRAS[extra]] == [needs]
