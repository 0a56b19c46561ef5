"""ARCHITECTURE.md, CONTRIBUTING.md and the pages name files and folders that are there, and link to such."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")], key=lambda page: page.as_posix()
)
# As in `core/` or `store/protocol.py`: paths below the package.
NAMED = re.compile(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_map_names_what_is_there() -> None:
    named = NAMED.findall((ROOT / "ARCHITECTURE.md").read_text("utf-8"))
    assert len(named) >= 10
    roots = (ROOT / "src" / "async_job", ROOT)
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_folders_of_tests_that_are_named_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"`tests/([a-z]+)`", text))
    there = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith(("_", "."))}
    assert named <= there
