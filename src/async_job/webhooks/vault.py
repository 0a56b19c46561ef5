"""The keys of the setting ``webhook_key``: they encrypt the secrets of endpoints, and give each URL one of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from async_job.errors import SettingsError
from async_job.webhooks.signing import secret_of

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

HOW_TO_SET: Final = "set ASYNC_JOB_WEBHOOK_KEY to what `async-job webhooks key` prints"


class Vault:
    """Made from the setting: one key, or several separated by commas, of which the first encrypts and all decrypt.

    Raises:
        SettingsError: there is no key, or the package that encrypts is not installed.
    """

    def __init__(self, keys: str) -> None:
        if not keys:
            raise SettingsError(f"webhooks need a key: {HOW_TO_SET}")
        self._keys = keys.split(",")
        self._fernet = _fernet(self._keys)

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """Raises ``SettingsError`` when it was sealed with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise SettingsError(
                "a webhook secret was encrypted with another webhook_key; append that one to the setting, after a comma"
            ) from error

    def secrets_of(self, url: str) -> list[str]:
        """Those that messages to a URL without an endpoint are signed with: one for each key. They depend on the URL
        up to its query, so that no receiver can sign for another one."""
        place = url.partition("?")[0].encode()
        return [secret_of(hmac.digest(key.encode(), b"webhook:" + place, hashlib.sha256)) for key in self._keys]


def _fernet(keys: list[str]) -> MultiFernet:
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ModuleNotFoundError as error:
        raise SettingsError(
            "webhooks need the package of async-job's extra `webhooks`: pip install cryptography"
        ) from error
    return MultiFernet([Fernet(key) for key in keys])


def new_key() -> str:
    """A new value for the setting."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
