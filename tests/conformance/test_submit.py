"""`submit`: inserts new jobs, each on its own."""

import pytest

from async_job.core.job import State
from async_job.core.lifecycle import CancelRequested, Overdue, Succeeded
from async_job.store.protocol import Store, Submitted
from support.jobs import LEASE, claim, cursor, entries, full_job, make_job, make_worker, read, run, submit, tell

ODD_IDS = ["Zoë ☃", "a b", "a\nb", "a\x00b", "{a}:b*", "async-job:x", "'; drop table jobs --", "x" * 500, "-1", "%s"]


async def test_every_field_is_kept(store: Store) -> None:
    job = full_job(store.now())
    assert await store.submit([job]) == [Submitted("full", created=True)]
    assert await store.get(["full"]) == [job]


async def test_a_job_whose_time_has_not_come_is_scheduled(store: Store) -> None:
    now, later = make_job(store.now(), "now"), make_job(store.now(), "later", delay=1)
    await store.submit([now, later])
    assert (await read(store, "now")).state is State.QUEUED
    assert (await read(store, "later")).state is State.SCHEDULED


async def test_answers_come_in_order(store: Store) -> None:
    jobs = [make_job(store.now(), id) for id in ("c", "a", "b")]
    assert await store.submit(jobs) == [Submitted(id, created=True) for id in ("c", "a", "b")]


async def test_nothing_is_answered_with_nothing(store: Store) -> None:
    assert await store.submit([]) == []


async def test_told_twice_it_is_stored_once(store: Store) -> None:
    (job,) = await submit(store, "a")
    start = await cursor(store)
    assert await store.submit([job]) == [Submitted("a", created=True)]
    assert await entries(store, start) == []
    await store.enroll(make_worker(), LEASE)
    assert [job.id for job in await claim(store)] == ["a"]
    assert await claim(store, n=2) == []


async def test_told_twice_in_one_call_it_is_stored_once(store: Store) -> None:
    job = make_job(store.now(), "a")
    assert await store.submit([job, job]) == [Submitted("a", created=True)] * 2
    assert (await store.counts()).states[State.QUEUED] == 1


async def test_told_again_after_its_end_it_stays_ended(store: Store) -> None:
    (job,) = await run(store, "a")
    ended = await tell(store, job, Succeeded(job.token or "", b"1"))
    await store.submit([make_job(store.now(), "a")])
    assert await store.get(["a"]) == [ended]
    assert await claim(store, n=2) == []


async def test_told_again_with_other_content_the_first_stays(store: Store) -> None:
    (first,) = await submit(store, "a")
    answer = await store.submit([make_job(store.now(), "a", queue="other", delay=5, unique_key="k", priority=3)])
    assert answer == [Submitted("a", created=True)]
    assert await store.get(["a"]) == [first]
    assert (await submit(store, "b", unique_key="k"))[0].id == "b"


async def test_a_live_job_keeps_others_with_its_key_out(store: Store) -> None:
    await submit(store, "a", unique_key="k")
    assert await store.submit([make_job(store.now(), "b", unique_key="k")]) == [Submitted("a", created=False)]
    assert await store.get(["b"]) == [None]
    assert (await store.counts()).states[State.QUEUED] == 1


async def test_the_holder_told_again_is_created(store: Store) -> None:
    (job,) = await submit(store, "a", unique_key="k")
    assert await store.submit([job]) == [Submitted("a", created=True)]


async def test_of_two_with_one_key_in_one_call_the_first_wins(store: Store) -> None:
    jobs = [make_job(store.now(), id, unique_key="k") for id in ("b", "a")]
    assert await store.submit(jobs) == [Submitted("b", created=True), Submitted("b", created=False)]


async def test_a_key_is_of_one_type(store: Store) -> None:
    await submit(store, "a", type="one", unique_key="k")
    await submit(store, "b", type="two", unique_key="k")


@pytest.mark.parametrize(("first", "second"), [(("a", "b:c"), ("a:b", "c")), (("a", "\x00b"), ("a\x00", "b"))])
async def test_type_and_key_are_not_mixed_up(store: Store, first: tuple[str, str], second: tuple[str, str]) -> None:
    await submit(store, "1", type=first[0], unique_key=first[1])
    await submit(store, "2", type=second[0], unique_key=second[1])


async def test_an_empty_key_is_a_key(store: Store) -> None:
    await submit(store, "a", unique_key="")
    assert await store.submit([make_job(store.now(), "b", unique_key="")]) == [Submitted("a", created=False)]


async def test_keys_differ_by_case_and_accents(store: Store) -> None:
    for id, key in enumerate(("key", "Key", "kéy", "ke\u0301y", "key ", "key\x00")):
        await submit(store, str(id), unique_key=key)


async def test_a_key_is_free_after_its_jobs_end(store: Store) -> None:
    (a,) = await run(store, "a", unique_key="k")
    await tell(store, a, Succeeded(a.token or "", b"1"))
    (b,) = await submit(store, "b", unique_key="k")
    await tell(store, b, CancelRequested())
    (c,) = await submit(store, "c", unique_key="k", start_by=store.now())
    await tell(store, c, Overdue())
    await submit(store, "d", unique_key="k")


async def test_one_refused_job_takes_no_other_with_it(store: Store) -> None:
    await submit(store, "a", unique_key="k")
    keys = (None, "k", "l")
    jobs = [make_job(store.now(), id, unique_key=key) for id, key in zip(("b", "c", "d"), keys, strict=True)]
    assert [answer.id for answer in await store.submit(jobs)] == ["b", "a", "d"]
    assert [job and job.id for job in await store.get(["b", "c", "d"])] == ["b", None, "d"]


async def test_more_than_a_batch(store: Store) -> None:
    jobs = [make_job(store.now(), f"{n:04}") for n in range(600)]
    assert await store.submit(jobs) == [Submitted(job.id, created=True) for job in jobs]
    assert await store.get([job.id for job in jobs]) == jobs


async def test_large_inputs(store: Store) -> None:
    jobs = [make_job(store.now(), f"{n}", input=b'"%s"' % (b"x" * 200_000)) for n in range(10)]
    await store.submit(jobs)
    assert await store.get([job.id for job in jobs]) == jobs


@pytest.mark.parametrize("id", ODD_IDS)
async def test_odd_ids_live_as_others_do(store: Store, id: str) -> None:
    (job,) = await run(store, id, labels={"x": id})
    assert job.labels == {"x": id}
    done = await tell(store, job, Succeeded(job.token or "", b"1"))
    assert await store.get([id]) == [done]


async def test_odd_queues_and_types(store: Store) -> None:
    for name in ("a:b", "ä", "{x}", "*", "a b"):
        (job,) = await run(store, name, queue=name, type=name, n=len(name) + ord(name[0]), worker=f"w{name}")
        assert (job.queue, job.type) == (name, name)


async def test_far_times_and_wide_priorities(store: Store) -> None:
    far = 253_402_300_799_999
    jobs = [
        make_job(store.now(), "far", delay=far - store.now(), start_by=far, timeout=far),
        make_job(store.now(), "early", delay=-store.now(), created_at=0),
        make_job(store.now(), "low", priority=-9),
        make_job(store.now(), "high", priority=9),
    ]
    await store.submit(jobs)
    assert await store.get([job.id for job in jobs]) == jobs
