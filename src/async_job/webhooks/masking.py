"""Keeps passwords and the like out of what is sent: the values whose names say that they are secret."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from async_job.settings import MASK

SECRET_NAME: Final = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|passcode|pwd|secrets?|(?:access|auth|refresh|id|bearer)?_?token|authorization"
    r"|credentials?|cookie|(?:api|access|private|secret|signing|encryption)_?key)\d*(?:_|$)"
)
HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SEPARATOR: Final = re.compile(r"[^0-9A-Za-z]+")
HINT: Final = re.compile(rb"(?i)pass|pwd|secret|token|auth|credential|cookie|key|\\u")
"""Text without any of these has no such name, and is left alone."""


def is_secret(name: str) -> bool:
    """Whether what is called so is likely to be a secret: ``apiKey``, ``X-Auth-Token``, ``db_password``."""
    words = SEPARATOR.sub("_", HUMP.sub("_", name)).lower()
    return SECRET_NAME.search(words) is not None


def masked_json(text: bytes) -> bytes:
    """JSON text in which secret values, whatever their type, are ``***``."""
    if not HINT.search(text):
        return text
    # The standard library's reader keeps whole numbers of any size as they are.
    return json.dumps(_masked(json.loads(text)), separators=(",", ":")).encode()


def masked_labels(labels: dict[str, str]) -> dict[str, str]:
    return {name: MASK if is_secret(name) else value for name, value in labels.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: MASK if is_secret(name) else _masked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_masked(member) for member in value]
    return value
