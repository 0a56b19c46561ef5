"""What README.md says of other projects is what the tables of docs/faults.md say."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FAULTS = (ROOT / "docs" / "faults.md").read_text("utf-8")
OURS = "async-job"


def column(section: str, name: str) -> dict[str, str]:
    """The cells under a heading of the table in the section that begins with these words, by project."""
    text = FAULTS.partition(f"\n## {section}: ")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {row[0]: row[header.index(name)] for row in rows}


def cell(first: str) -> str:
    """What the comparison says of the others in the row that begins with these words."""
    [line] = re.findall(rf"^\| {first} \|.*$", README, re.MULTILINE)
    return line.split("|")[3].strip()


def test_how_soon_the_jobs_of_a_killed_worker_run_again() -> None:
    recoveries = column("1", "recovery, s")
    assert float(recoveries.pop(OURS)) < 1
    timed = {name: float(value) for name, value in recoveries.items() if re.fullmatch(r"[\d.]+", value)}
    first, last = min(timed, key=lambda name: timed[name]), max(timed, key=lambda name: timed[name])
    late = " and ".join(name for name, value in recoveries.items() if value.startswith("> 120"))
    never = " and ".join(name for name, value in recoveries.items() if value == "never")
    says = (
        f"after {timed[first]:g} s ({first}) to {timed[last]:.0f} s ({last}); not within 120 s: {late}; never: {never}"
    )
    assert cell("worker killed") == f"{says}: [`docs/faults.md`](docs/faults.md)"


def test_how_many_take_the_result_of_a_late_worker() -> None:
    stale = column("3", "stale accepted")
    assert stale.pop(OURS) == "0"
    taken = [name for name, value in stale.items() if value not in ("", "0")]
    assert (
        cell("late worker") == f"its result replaced the newer one in {len(taken)} of {len(stale)}: {', '.join(taken)}"
    )
