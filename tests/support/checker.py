"""Compares what clients were told, what jobs wrote down outside the store, and what the store says."""

from collections import Counter
from collections.abc import Collection, Sequence

from msgspec import Struct

from async_job.core.job import Job, State
from support.ledger import Line, counted


class Verdict(Struct, kw_only=True):
    """How many jobs each is true of. `again`: their function came to its end more than once, which a fault between the
    end and the store's hearing of it explains. All the others have to be none."""

    acknowledged: int
    again: int
    lost: int
    stuck: int
    unexpected: int
    doubled: int
    unexplained: int

    @property
    def clean(self) -> bool:
        return not (self.lost or self.stuck or self.unexpected or self.doubled or self.unexplained)


def judge(
    submitted: Collection[str], acknowledged: Collection[str], jobs: Sequence[Job | None], lines: list[Line]
) -> Verdict:
    """`submitted` are the ids that were sent, `acknowledged` those that were answered, `jobs` what the store has."""
    stored = {job.id: job for job in jobs if job is not None}
    starts = Counter((line.id, line.attempt) for line in lines if line.what == "start")
    runs, ends = counted(lines, "start"), counted(lines, "end")
    return Verdict(
        acknowledged=len(acknowledged),
        again=sum(count > 1 for count in ends.values()),
        # Gone, or ended without having come to the end of its function.
        lost=sum(id not in stored or _came_to_nothing(stored[id], ends) for id in acknowledged),
        stuck=sum(not job.done for job in stored.values()),
        unexpected=len({line.id for line in lines} - set(submitted)),
        # Two runs under one attempt's number: two owners at once.
        doubled=sum(count > 1 for count in starts.values()),
        # Each run but the last is accounted for by the reason why it ended.
        unexplained=sum(runs[id] > len(job.attempts) + 1 for id, job in stored.items()),
    )


def _came_to_nothing(job: Job, ends: Counter[str]) -> bool:
    return job.done and (job.state is not State.SUCCEEDED or not ends[job.id])
