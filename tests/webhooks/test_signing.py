"""Secrets, signatures and the keys that keep them."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from async_job.errors import InvalidOptions, SettingsError
from async_job.webhooks.signing import key_of, new_secret, secret_of, signed
from async_job.webhooks.vault import Vault, new_key


@given(key=st.binary(min_size=24, max_size=64), body=st.text(), seconds=st.integers(0, 4_000_000_000))
def test_signatures_are_those_of_the_public_library(key: bytes, body: str, seconds: int) -> None:
    secret = secret_of(key)
    headers = dict(signed("msg_1", seconds * 1000 + 999, body.encode(errors="replace"), [secret]))
    at = datetime.fromtimestamp(seconds, UTC)
    expected = Webhook(secret).sign("msg_1", at, body.encode(errors="replace").decode())
    assert headers == {
        b"webhook-id": b"msg_1",
        b"webhook-timestamp": b"%d" % seconds,
        b"webhook-signature": expected.encode(),
    }


def test_a_known_signature() -> None:
    """The example of the standard's own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = dict(signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, body, [secret]))
    assert headers[b"webhook-signature"] == b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_for_several_secrets_there_are_several_signatures() -> None:
    first, second = new_secret(), new_secret()
    both = dict(signed("m", 1_000, b"{}", [first, second]))[b"webhook-signature"].split(b" ")
    alone = [dict(signed("m", 1_000, b"{}", [one]))[b"webhook-signature"] for one in (first, second)]
    assert both == alone


def test_new_secrets_are_good_and_different() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert len(key_of(first)) == 32


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_AAAA", "AAAA", base64.b64encode(b"x" * 32).decode(), secret_of(b"x" * 23),
     secret_of(b"x" * 65), "whsec_" + "!" * 43 + "=", "whsec_ä", secret_of(b"x" * 32) + "x"],
)  # fmt: skip
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(InvalidOptions, match="whsec_") as raised:
        key_of(secret)
    assert raised.value.option == "secret"


def test_a_vault_opens_what_it_sealed_with_any_of_its_keys() -> None:
    old, new = new_key(), new_key()
    secret = new_secret()
    sealed = Vault(old).seal(secret)
    assert secret not in sealed
    assert Vault(f"{new},{old}").unseal(sealed) == secret
    assert Vault(new).unseal(Vault(f"{new},{old}").seal(secret)) == secret
    with pytest.raises(SettingsError, match="another webhook_key"):
        Vault(new).unseal(sealed)


@pytest.mark.parametrize("sealed", ["", "x", "ä", "gAAAAA=="])
def test_what_was_never_sealed(sealed: str) -> None:
    with pytest.raises(SettingsError, match="another webhook_key"):
        Vault(new_key()).unseal(sealed)


def test_without_a_key_there_is_no_vault() -> None:
    with pytest.raises(SettingsError, match="ASYNC_JOB_WEBHOOK_KEY"):
        Vault("")


def test_each_url_has_a_secret_of_its_own_up_to_its_query() -> None:
    vault = Vault(new_key())
    (secret,) = vault.secrets_of("https://example.com/a")
    assert len(key_of(secret)) == 32
    assert vault.secrets_of("https://example.com/a?job=7") == [secret]
    assert vault.secrets_of("https://example.com/b") != [secret]
    assert Vault(new_key()).secrets_of("https://example.com/a") != [secret]


def test_with_several_keys_a_url_has_several_secrets() -> None:
    old, new = new_key(), new_key()
    url = "https://example.com/a"
    assert Vault(f"{new},{old}").secrets_of(url) == Vault(new).secrets_of(url) + Vault(old).secrets_of(url)
