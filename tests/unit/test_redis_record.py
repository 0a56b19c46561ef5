"""A job as a hash: what is written comes back, and what is usual is not written."""

from hypothesis import given
from hypothesis import strategies as some

from async_job.core.job import Attempt, Change, ErrorInfo, ErrorKind, Guard, Job, Progress, State
from async_job.store.redis.record import READ, SUBMITTED, decode, encode, encode_change
from support.jobs import full_job, make_job

texts = some.text(max_size=20)
times = some.integers(0, 2**53)
errors = some.builds(ErrorInfo, kind=some.sampled_from(ErrorKind), message=texts, type=texts, at=times)
jobs = some.builds(
    Job,
    id=texts,
    type=texts,
    input=some.sampled_from([b"{}", b'{"n":1}', b"", b"null"]),
    state=some.sampled_from(State),
    created_at=times,
    scheduled_for=times,
    updated_at=times,
    reason=some.sampled_from(["submitted", "claimed", "succeeded", "due", "", "a b"]),
    priority=some.integers(-9, 9),
    attempt=some.integers(0, 99),
    suspect=some.booleans(),
    token=some.none() | texts,
    timeout=some.none() | times,
    started_at=some.none() | times,
    finished_at=some.none() | times,
    kept_until=some.none() | times,
    unique_key=some.none() | texts,
    owner=some.none() | texts,
    webhook=some.none() | texts,
    labels=some.dictionaries(texts, texts, max_size=2),
    progress=some.none() | some.builds(Progress, current=some.floats(0, 100), message=some.none() | texts),
    result=some.none() | some.just(b"null"),
    error=some.none() | errors,
    attempts=some.lists(
        some.builds(Attempt, number=times, started_at=times, ended_at=times, reason=texts, error=some.none() | errors),
        max_size=2,
    ).map(tuple),
)


def as_stored(job: Job) -> list[bytes]:
    """The fields as a server returns them, all bytes: what the submit wrote of it, and what one change has added."""
    later = {
        name: getattr(job, name) for name in READ if name not in {*SUBMITTED, "type", "created_at", "scheduled_for"}
    }
    change = Change(job=new(job), guard=Guard(state=State.QUEUED), fields=later)
    by_scripts = ["state", job.state, "type", job.type, "created_at", job.created_at]
    fields = [*by_scripts, *encode(job), *encode_change(change)[0]]
    return [field if isinstance(field, bytes) else str(field).encode() for field in fields]


def new(job: Job) -> Job:
    """The job as it was submitted."""
    given = {name: getattr(job, name) for name in (*SUBMITTED, "id", "type", "created_at", "scheduled_for")}
    return Job(**given, state=State.QUEUED, updated_at=job.created_at)


@given(jobs)
def test_what_is_written_comes_back(job: Job) -> None:
    assert decode(job.id, as_stored(job)) == job


def test_a_plain_job_has_no_field_too_many() -> None:
    job = make_job(1_700_000_000_000, "a", input=b"{}")
    assert encode(job) == []


def test_structured_fields_are_json() -> None:
    fields = encode(full_job(1))
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    assert named["labels"] == '{"tenant":"ä\\u0000\\n","":"empty","k:1":""}'.encode()
    assert named["suspect"] == 1


def test_a_hash_of_somebody_else_is_no_job() -> None:
    assert decode("x", []) is None
    assert decode("x", [b"absexp", b"-1", b"sldexp", b"-1", b"data", b"COMPLETE"]) is None
