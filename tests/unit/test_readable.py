"""What is told in the log of records that cannot be read."""

import pytest

from async_job.errors import StoreBroken
from async_job.store.readable import MOST_TOLD, Readable


def broken(number: int) -> str:
    if number % 2:
        raise StoreBroken(f"job {number} cannot be read")
    return str(number)


def test_each_once_and_not_without_end(caplog: pytest.LogCaptureFixture) -> None:
    readable = Readable()
    for _ in range(2):
        assert readable.all(broken, range(5)) == ["0", "2", "4"]
    assert [record.getMessage() for record in caplog.records] == [f"left out: job {n} cannot be read" for n in (1, 3)]
    for _ in range(2):
        readable.all(broken, range(4 * MOST_TOLD))
    assert len(caplog.records) == MOST_TOLD + 1
    assert "`async-job check`" in caplog.records[-1].getMessage()
