"""Random programs of every call and event, compared step by step with the oracle: see `support.program`."""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from async_job.clock import Clock
from support.program import Program
from support.stores import Backend

PROGRAMS = int(os.environ.get("ASYNC_JOB_TEST_PROGRAMS", "200"))
"""Raise it for a long search: ASYNC_JOB_TEST_PROGRAMS=10000."""


@pytest.mark.timeout(400)  # a failing program is made smaller for up to five minutes
def test_every_program_does_the_same(new_backend: Callable[[Clock], Backend]) -> None:
    class OnThisBackend(Program):
        pass

    OnThisBackend.new_backend = staticmethod(new_backend)
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        OnThisBackend,
        settings=settings(
            max_examples=PROGRAMS,
            stateful_step_count=25,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=slow,
        ),
    )
    assert OnThisBackend.begun >= PROGRAMS
