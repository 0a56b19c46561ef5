"""Where the application is mounted, as the servers and frameworks tell it."""

import pytest

from async_job.web.mounting import below, located


def scope(path: str, raw: str | None, root: str = "") -> dict[str, object]:
    made: dict[str, object] = {"type": "http", "path": path, "root_path": root}
    return made if raw is None else {**made, "raw_path": raw.encode("latin-1")}


@pytest.mark.parametrize(
    ("path", "raw", "root"),
    [
        # Not mounted: by uvicorn, by a server without raw paths, with escapes, with a query in the raw path.
        ("/v1/jobs", "/v1/jobs", ""),
        ("/v1/jobs", None, ""),
        ("/v1/jobs/ä b", "/v1/jobs/%C3%A4%20b", ""),
        ("/v1/jobs", "/v1/jobs?a=/v1/jobs", ""),
        # Mounted as ASGI says: by Starlette, below a proxy's path.
        ("/jobs/v1/jobs", "/jobs/v1/jobs", "/jobs"),
        ("/out/jobs/ä", "/out/jobs/%C3%A4", "/out/jobs"),
    ],
)
def test_what_is_as_it_has_to_be_stays(path: str, raw: str | None, root: str) -> None:
    given = scope(path, raw, root)
    assert located(given) is given


@pytest.mark.parametrize(
    ("path", "raw", "root", "whole", "wanted"),
    [
        # Litestar: cut, and with a slash at its end that was not asked for, or was.
        ("/v1/jobs/", "/jobs/v1/jobs", "", "/jobs/v1/jobs", "/jobs"),
        ("/v1/jobs/", "/jobs/v1/jobs/", "", "/jobs/v1/jobs/", "/jobs"),
        ("/v1/ä/", "/jobs/v1/%C3%A4", "", "/jobs/v1/ä", "/jobs"),
        # Cut, with a root path that says so already.
        ("/v1/jobs", "/jobs/v1/jobs", "/jobs", "/jobs/v1/jobs", "/jobs"),
    ],
)
def test_a_path_that_was_cut_is_put_together(path: str, raw: str, root: str, whole: str, wanted: str) -> None:
    found = located(scope(path, raw, root))
    assert (found["path"], found["root_path"]) == (whole, wanted)


def test_a_router_stands_before_the_rest_of_the_path() -> None:
    found = below(scope("/api/v1/jobs/x", None), "/v1/jobs/x")
    assert (found["path"], found["root_path"]) == ("/api/v1/jobs/x", "/api")
    # A proxy's path that the server has not put before the path.
    found = below(scope("/api/v1/jobs/x", None, "/out"), "/v1/jobs/x")
    assert (found["path"], found["root_path"]) == ("/out/api/v1/jobs/x", "/out/api")
