"""Where in another application this one is mounted. Links begin with that, and routes are found behind it.

By ASGI ``path`` is the whole path and ``root_path`` its part before the application. Not every framework that mounts
others keeps to it.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import Scope


def located(scope: Scope) -> Scope:
    """The request with a ``path`` and a ``root_path`` as they have to be.

    Litestar cuts what is before the application off ``path``, puts a slash at its end, and leaves ``raw_path`` alone.
    """
    path: str = scope["path"]
    raw: bytes | None = scope.get("raw_path")
    if raw is None or len(raw) == len(path):
        return scope
    whole = unquote(raw.partition(b"?")[0].decode("latin-1"))
    rest = path if whole.endswith("/") else path.removesuffix("/")
    if whole in (path, rest) or not whole.endswith(rest):
        return scope
    return below({**scope, "path": whole}, rest)


def below(scope: Scope, rest: str) -> Scope:
    """The request with ``root_path`` as all that stands before ``rest``, the end of the path."""
    root: str = scope.get("root_path", "")
    path: str = scope["path"]
    whole = path if path.startswith(root) else root + path
    return {**scope, "path": whole, "root_path": whole.removesuffix(rest)}
