"""The example is imported as its own readers do: with its folder on the path."""

import importlib.metadata
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "thumbnails"

sys.path.insert(0, str(EXAMPLE))


@pytest.fixture(scope="session")
def photograph() -> Callable[[str], Path]:
    """Where a photograph of the package scikit-image lies."""
    try:
        files = importlib.metadata.files("scikit-image") or []
    except importlib.metadata.PackageNotFoundError:
        if os.environ.get("CI"):
            pytest.fail("scikit-image is missing, and CI is set")
        pytest.skip("scikit-image is missing (requirements/examples.txt)")
    paths = {file.name: Path(str(file.locate())) for file in files if file.parent.name == "data"}
    return paths.__getitem__
