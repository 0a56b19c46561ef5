"""The launch of a child survives its way through the environment."""

import os

import pytest

from async_job.errors import UsageError
from async_job.settings import Settings
from async_job.worker.launch import VARIABLE, Launch, receive_launch


def test_a_launch_comes_out_of_the_environment_as_it_went_in() -> None:
    settings = Settings(store="redis://localhost:6379/1", queues=("mail", "default"), lease=1, renew=0.3, workers=2)
    reading, writing = os.pipe()
    try:
        sent = Launch(target="app:jobs", settings=settings, worker="w1", signs_fd=writing, life_fd=reading)
        os.set_inheritable(reading, True)
        environ = sent.environ()
        assert receive_launch(environ) == sent
        assert not os.get_inheritable(reading)
    finally:
        os.close(reading)
        os.close(writing)
    assert VARIABLE not in environ
    assert environ == dict(os.environ)


def test_only_the_files_that_are_given_are_inherited() -> None:
    assert Launch(target=None, settings=Settings()).fds == ()
    assert Launch(target=None, settings=Settings(), signs_fd=5, listen_fd=7).fds == (5, 7)


def test_a_program_that_nobody_launched_says_what_to_run() -> None:
    with pytest.raises(UsageError, match="async-job serve"):
        receive_launch({})
