"""The SQL that the store runs: one ``.sql`` file for each of its methods or parts, read once.

A file holds statements under headings, ``-- : name`` and perhaps a remark after a dash; ``claim.sql`` and
``-- : start`` make ``SQL["claim.start"]``.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from async_job.core.job import FINISHED, State
from async_job.store.sqlite.row import COLUMNS, DELIVERY_COLUMNS, SUBMITTED

ROW: Final = re.compile(r"(?<=VALUES )\([^)]*\)")
HEADING: Final = re.compile(r"^-- : ([^—\n]+?)(?: — .*)?$", re.MULTILINE)


def _folder(name: str) -> list[Traversable]:
    return sorted(files("async_job.store.sqlite").joinpath(name).iterdir(), key=lambda file: file.name)


def _statements() -> dict[str, str]:
    statements = {}
    for file in _folder("sql"):
        method = file.name.removesuffix(".sql")
        _, *parts = HEADING.split(file.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            for prefix, columns in (("", COLUMNS), ("submitted_", SUBMITTED), ("delivery_", DELIVERY_COLUMNS)):
                text = text.replace(f"{{{prefix}columns}}", ", ".join(columns))
                text = text.replace(f"{{{prefix}places}}", ", ".join("?" * len(columns)))
            statements[f"{method}.{name}"] = text.strip()
    return statements


SQL: Final = _statements()


@cache
def submit(jobs: int) -> str:
    """The insert of so many jobs."""
    return ROW.sub(lambda row: ", ".join([row[0]] * jobs), SQL["submit.insert"])


@cache
def apply(fields: tuple[str, ...]) -> str:
    """The guarded write of these fields. Decisions write a handful of different sets of them."""
    unknown = set(fields) - set(COLUMNS)
    if unknown:
        raise ValueError(f"a change writes what is no field of a job: {', '.join(sorted(unknown))}")
    return SQL["apply.apply"].replace("{assignments}", ", ".join(f"{field} = :{field}" for field in fields))


@cache
def scan(state: State, newest: bool) -> str:
    """The page of a state's index behind a place, in the index's order or backwards."""
    text = SQL[f"scan.{'ended' if state in FINISHED else state}"]
    beyond, direction = ("<", "DESC") if newest else (">", "ASC")
    return text.replace("{beyond}", beyond).replace("{direction}", direction)


def migrations() -> list[str]:
    """What makes each version of the schema from the one before, beginning with version 1."""
    return [file.read_text(encoding="utf-8") for file in _folder("migrations")]
