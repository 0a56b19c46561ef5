"""Values that are named like secrets stay here."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_job.webhooks.masking import is_secret, masked_json, masked_labels

SECRETS = [
    "password", "PASSWORD", "db_password", "dbPassword", "password2_old", "passwd", "pwd", "passphrase", "secret",
    "clientSecret", "client-secret", "secrets", "token", "accessToken", "access_token", "accesstoken", "X-Auth-Token",
    "refresh.token", "authorization", "Authorization", "credentials", "credential", "cookie", "Set-Cookie", "apiKey",
    "apikey", "api_key", "API-KEY", "private_key", "privateKey", "secretAccessKey", "AWS_SECRET_ACCESS_KEY",
    "signing key",
]  # fmt: skip
OTHERS = [
    "", "pass", "compass", "passenger", "author", "keyboard", "key", "keys", "max_tokens", "tokenizer", "secretary",
    "primary_key", "monkey", "user", "path", "cookies_allowed", "ä",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)
    text = json.dumps({"a": [{name: {"deep": "hunter2"}}], "b": "seen"}).encode()
    assert json.loads(masked_json(text)) == {"a": [{name: "***"}], "b": "seen"}


@pytest.mark.parametrize("name", OTHERS)
def test_other_names(name: str) -> None:
    assert not is_secret(name)


def test_a_name_in_escapes_is_read_first() -> None:
    assert b"hunter2" not in masked_json(b'{"\\u0070assword":"hunter2"}')


def test_numbers_and_strange_text_stay_as_they_are() -> None:
    text = b'{"token":1,"n":123456789012345678901234567890,"x":0.1,"s":"\\ud83d\\ude00\\u0000"}'
    assert json.loads(masked_json(text)) == {**json.loads(text), "token": "***"}


def test_labels() -> None:
    assert masked_labels({"team": "a", "api-key": "b"}) == {"team": "a", "api-key": "***"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(OTHERS), inner),
)


@given(json_values)
def test_what_has_no_such_name_is_unchanged(value: object) -> None:
    text = json.dumps(value).encode()
    if not any(is_secret(name) for name in names_in(value)):
        assert json.loads(masked_json(text)) == value


def names_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(name for member in value.values() for name in names_in(member))]
    if isinstance(value, list):
        return [name for member in value for name in names_in(member)]
    return []
