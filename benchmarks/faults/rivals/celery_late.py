"""Celery with what its documentation has for tasks that must not be lost: late acknowledgement."""

from rivals.celery import VISIBILITY, app, results, submit, work

__all__ = ["app", "results", "submit", "work"]

COMMAND = ["bin/celery", "--app", "rivals.celery_late", "worker", "--concurrency", "4", "--loglevel", "WARNING"]
SILENCE = VISIBILITY
NOTE = (
    f"task_acks_late, task_reject_on_worker_lost, worker_prefetch_multiplier=1; visibility_timeout={VISIBILITY} s "
    "(3600 by default), longer than a job"
)

app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)
