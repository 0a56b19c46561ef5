"""Each statement of the SQLite store is a search in an index, however many jobs there are."""

import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from async_job.core.job import State
from async_job.store.sqlite import statements
from async_job.store.sqlite.connection import connect_writer
from async_job.store.sqlite.migrate import migrate
from async_job.store.sqlite.statements import SQL
from async_job.store.sqlite.writer import INSERTED

FIELDS = ("state", "reason", "updated_at", "finished_at", "kept_until", "result", "error", "token", "scheduled_for")
# `check` and `repair` look at everything, that is what they are for.
OTHERS = ("check.", "repair.", "apply.apply", "scan.", "submit.insert")
STATEMENTS = {name: text for name, text in SQL.items() if not name.startswith(OTHERS)}
STATEMENTS["apply.apply"] = statements.apply(FIELDS)
STATEMENTS["submit.insert"] = statements.submit(INSERTED)
STATEMENTS |= {
    f"scan.{state}{way}": statements.scan(state, way == "-newest") for state in State for way in ("", "-newest")
}

SMALL = re.compile(
    r"SCAN (CONSTANT ROW|workers|tally|queues|jobs USING INDEX jobs_held|deliveries USING INDEX deliveries_newest)\b"
    r"|SCAN \(subquery-\d+\)$|SCAN \d+-ROW VALUES CLAUSE$"
)
"""What may be walked through: a row a worker, a row a queue, a row a running job; and from an end up to a limit."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    path = tmp_path_factory.mktemp("plans") / "jobs.db"
    connection = connect_writer(path)
    migrate(connection, path, "async-job")
    yield connection
    connection.close()


def plan(connection: apsw.Connection, statement: str) -> list[str]:
    names = re.findall(r":(\w+)", statement)
    bindings = dict.fromkeys(names, 1) if names else [1] * statement.count("?")
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", bindings)]


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_table_is_walked_through(connection: apsw.Connection, name: str) -> None:
    steps = plan(connection, STATEMENTS[name])
    assert [step for step in steps if "SCAN" in step and not SMALL.match(step)] == []


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("claim.start", "jobs_ready (queue=?)"),
        ("claim.promote", "jobs_due (scheduled_for<?)"),
        ("claim.next_due", "jobs_due"),
        ("claim.again", "jobs_held (worker=?)"),
        ("retire.held", "jobs_held (worker=?)"),
        ("rescuable.rescuable", "jobs_held"),
        ("overdue.overdue", "jobs_deadline (start_by>? AND start_by<?)"),
        ("purge.purge", "jobs_kept (kept_until>? AND kept_until<?)"),
        ("submit.holder", "jobs_unique (type=? AND unique_key=?)"),
        ("wait.ready", "jobs_ready (queue=?)"),
        ("scan.scheduled", "jobs_due ((scheduled_for,id)>(?,?))"),
        ("scan.scheduled-newest", "jobs_due ((scheduled_for,id)<(?,?))"),
        ("scan.queued", "jobs_ready (queue=? AND (rank,id)>(?,?))"),
        ("scan.queued-newest", "jobs_ready (queue=? AND (rank,id)<(?,?))"),
        ("scan.running", "jobs_held"),
        ("scan.failed", "jobs_ended (state=? AND (finished_at,id)>(?,?))"),
        ("scan.succeeded-newest", "jobs_ended (state=? AND finished_at>? AND (finished_at,id)<(?,?))"),
        ("ahead.ahead", "jobs_ready (queue=? AND (rank,id)<(?,?))"),
        ("purge.keys", "idempotency_keys_expiry (expires_at<?)"),
        ("outbox.due", "deliveries_due (due_at<?)"),
        ("outbox.deliveries", "deliveries_of_job (job_id=?)"),
        ("outbox.recent", "deliveries_newest"),
        ("administration.queues", "jobs_ready (queue=?)"),
        ("administration.workers", "jobs_held (worker=?)"),
    ],
)
def test_the_index_that_each_search_is_for(connection: apsw.Connection, name: str, index: str) -> None:
    assert any(index in step for step in plan(connection, STATEMENTS[name]))


IN_ORDER = ["claim.start", "claim.promote", "overdue.overdue", "purge.purge", "purge.keys", "outbox.due"]
IN_ORDER += ["outbox.deliveries", "outbox.recent"]
IN_ORDER += [name for name in STATEMENTS if name.startswith("scan.") and "running" not in name]


@pytest.mark.parametrize("name", IN_ORDER)
def test_what_is_wanted_in_order_is_found_in_order(connection: apsw.Connection, name: str) -> None:
    assert not any("TEMP B-TREE" in step for step in plan(connection, STATEMENTS[name]))


def test_no_page_counts_its_way_to_its_place() -> None:
    assert not [name for name, text in STATEMENTS.items() if "OFFSET" in text]


def test_a_walk_would_be_seen(connection: apsw.Connection) -> None:
    assert [step for step in plan(connection, "SELECT id FROM jobs WHERE reason = ?") if "SCAN" in step]


def test_plans_do_not_depend_on_the_values(tmp_path: Path) -> None:
    """Or statements would be prepared anew for each value, which costs more than running them."""
    connection = connect_writer(tmp_path / "jobs.db")
    assert connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1
    connection.close()


def test_a_field_that_no_job_has_is_never_written() -> None:
    with pytest.raises(ValueError, match="colour"):
        statements.apply(("state", "colour"))
