"""The floor on SQLite, WAL and FULL: a transaction submits ten jobs, another one ends ten and claims ten."""

import sqlite3
import sys
import time

from bodies import SYNC

from rivals import CONCURRENCY, URL

NOTE = "synchronous=FULL, in groups of ten; no retries, leases or timeouts: what a crash interrupts is lost"
GROUP = 10
SCHEMA = """
CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY, body TEXT, status TEXT, result INTEGER);
CREATE INDEX IF NOT EXISTS queued ON job (id) WHERE status = 'queued';
"""
CLAIM = """
UPDATE job SET status = 'running' WHERE id IN (SELECT id FROM job WHERE status = 'queued' ORDER BY id LIMIT ?)
RETURNING id, body"""
connection: sqlite3.Connection


def workers(processes: int) -> list[list[str]]:
    return [[sys.executable, "-m", "rivals.floor_sqlite"]] * processes


def connect() -> None:
    global connection
    connection = sqlite3.connect(URL.removeprefix("sqlite:///"), isolation_level=None, timeout=20)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)


def submit(body: str) -> int:
    return connection.execute("INSERT INTO job (body, status) VALUES (?, 'queued') RETURNING id", [body]).fetchone()[0]


def bulk(body: str, count: int) -> list[int]:
    ids = []
    for start in range(0, count, GROUP):
        connection.execute("BEGIN IMMEDIATE")
        ids += [submit(body) for _ in range(min(GROUP, count - start))]
        connection.execute("COMMIT")
    return ids


def result(handle: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    while (found := connection.execute("SELECT result FROM job WHERE id = ?", [handle]).fetchone()[0]) is None:
        if time.monotonic() > end:
            raise TimeoutError(handle)
        time.sleep(0.001)
    return found


def close() -> None:
    connection.close()


def work() -> None:
    connect()
    done: list[tuple[int, int]] = []
    while True:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("UPDATE job SET status = 'complete', result = ? WHERE id = ?", done)
        claimed = connection.execute(CLAIM, [CONCURRENCY]).fetchall()
        connection.execute("COMMIT")
        done = [(SYNC[body](), id) for id, body in claimed]
        if not claimed:
            time.sleep(0.001)


if __name__ == "__main__":
    work()
