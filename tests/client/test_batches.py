"""What becomes of one batch takes nothing from the answers to the others."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from async_job import AlreadyFinished, Jobs, NotFinished, NotRetryable, UniqueKeyHeld, asgi
from async_job.access.keys import AccessScope, Keys
from async_job.client import verbs
from async_job.core.submission import OnConflict, Options
from async_job.errors import InvalidInput, InvalidOptions, NotAllowed, ServerError, StoreFull
from async_job.web.answer import send_answer
from async_job.web.problems import Problem
from support.clients import Asker
from support.proxy import Proxy
from support.web import serve

LATER = Options(delay=1000)
ONCE = Options(unique_key="k", on_conflict=OnConflict.REJECT, delay=1000)


class Before:
    """In front of the application: does something before the requests whose method and path begin so."""

    def __init__(self, app: ASGIApp, to: str, act: Callable[[int], Awaitable[Problem | None]]) -> None:
        self._app = app
        self._to = to
        self._act = act
        self.seen = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and f"{scope['method']} {scope['path']}".startswith(self._to):
            self.seen += 1
            problem = await self._act(self.seen)
            if problem is not None:
                await send_answer(problem.answer("test"), send)
                return
        await self._app(scope, receive, send)


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "MOST_AT_ONCE", 2)


def many(n: int) -> list[tuple[str, Any, Options]]:
    return [("add", {"a": a}, LATER) for a in range(n)]


@pytest.mark.parametrize(
    ("problem", "error"),
    [(Problem(422, "too_large", "large"), InvalidInput), (Problem(403, "scope_missing", "no"), NotAllowed)],
)
async def test_a_later_batch_that_is_refused_answers_its_jobs(
    jobs: Jobs, connect: Callable[..., Asker], problem: Problem, error: type[Exception]
) -> None:
    async def refuse_the_second(seen: int) -> Problem | None:
        return problem if seen == 2 else None

    async with serve(jobs, app=Before(asgi.app(jobs), "POST", refuse_the_second)) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        answers = await client.ask("submit_many", many(5))
    assert [type(answer) for answer in answers[2:4]] == [error, error]
    stored = {job.id for job in (await jobs.find()).jobs}
    assert {answers[n].id for n in (0, 1, 4)} == stored


async def test_a_first_batch_that_is_refused_is_the_error_of_the_call(
    jobs: Jobs, connect: Callable[..., Asker]
) -> None:
    async def refuse(seen: int) -> Problem | None:
        return Problem(403, "scope_missing", "no")

    async with serve(jobs, app=Before(asgi.app(jobs), "POST", refuse)) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        with pytest.raises(NotAllowed):
            await client.ask("submit_many", many(5))
    assert (await jobs.find()).jobs == []


async def test_a_store_that_is_full_in_the_middle(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    async def fill(seen: int) -> Problem | None:
        return Problem(507, "store_full", "full") if seen >= 2 else None

    front = Before(asgi.app(jobs), "POST", fill)
    async with serve(jobs, app=front) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        answers = await client.ask("submit_many", many(7))
    assert [type(answer) for answer in answers[2:]] == [StoreFull] * 5
    assert "3 to 7" in str(answers[2])
    assert front.seen == 2
    assert {answer.id for answer in answers[:2]} == {job.id for job in (await jobs.find()).jobs}


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_server_that_goes_away_says_with_what_key_to_go_on(
    jobs: Jobs, connect: Callable[..., Asker], lost: int
) -> None:
    """The answer to one batch is lost; the rest is not sent."""

    async def cut(seen: int) -> None:
        if seen == lost - 1:
            proxy.cut_next_reply(b"/batch")

    front = Before(asgi.app(jobs), "POST", cut)
    async with serve(jobs, app=front) as site, Proxy(site.port) as proxy:
        await cut(0)
        client = connect(f"http://127.0.0.1:{proxy.port}", patience=0)
        if lost == 1:
            with pytest.raises(ServerError) as raised:
                await client.ask("submit_many", many(5))
            answers, error = [], raised.value
        else:
            answers = await client.ask("submit_many", many(5))
            error = answers[2]
            assert answers[2:] == [error] * 3
            assert isinstance(error, ServerError)
        assert front.seen == lost
        found = re.search(r"key='([^']+)'", str(error))
        assert found is not None
        again = await client.ask("submit_many", many(5), key=found[1])
    stored = [job.id for job in (await jobs.find()).jobs]
    assert {handle.id for handle in again} == set(stored)
    assert len(stored) == 5
    assert [handle.id for handle in answers[:2]] == [handle.id for handle in again[: len(answers[:2])]]


async def key_of(jobs: Jobs, *scopes: AccessScope) -> str:
    return (await Keys(await jobs.store()).create("k", list(scopes)))[1]


async def test_a_holder_that_the_key_may_not_read(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    async with serve(jobs) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0, api_key=await key_of(jobs, "create"))
        first, second = await client.ask("submit_many", [("add", {"a": 1}, ONCE), ("add", {"a": 2}, ONCE)])
        with pytest.raises(UniqueKeyHeld) as raised:
            await client.ask("submit", "add", {"a": 3}, ONCE)
    for error in (second, raised.value):
        assert isinstance(error, UniqueKeyHeld)
        assert (error.holder, error.job) == (first.id, None)


async def test_a_holder_that_has_gone(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    holder = await jobs.submit("add", b'{"a":1}', ONCE)

    async def remove(seen: int) -> None:
        if seen == 1:
            await jobs.cancel(holder.id)
            await jobs.delete(holder.id)

    async with serve(jobs, app=Before(asgi.app(jobs), "GET", remove)) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        error, other = await client.ask("submit_many", [("add", {"a": 1}, ONCE), ("add", {"a": 2}, LATER)])
    assert isinstance(error, UniqueKeyHeld)
    assert (error.holder, error.job) == (holder.id, None)
    assert [job.id for job in (await jobs.find()).jobs] == [other.id]


async def test_each_holder_is_read_once(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    holder = await jobs.submit("add", b'{"a":1}', ONCE)

    async def nothing(seen: int) -> None: ...

    front = Before(asgi.app(jobs), "GET", nothing)
    async with serve(jobs, app=front) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        errors = await client.ask("submit_many", [("add", {"a": 1}, ONCE), ("add", {"a": 2}, ONCE)])
    assert [error.job.id for error in errors] == [holder.id] * 2
    assert front.seen == 1


async def test_verbs_say_what_is_wrong_to_a_key_that_may_not_read(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    async with serve(jobs) as site:
        key = await key_of(jobs, "create", "manage")
        client = connect(f"http://127.0.0.1:{site.port}", patience=0, api_key=key)
        live, ended = await client.ask("submit_many", many(2))
        await client.ask("cancel", ended.id)
        for verb, id, error in (
            ("cancel", ended.id, AlreadyFinished),
            ("retry", live.id, NotRetryable),
            ("delete", live.id, NotFinished),
        ):
            with pytest.raises(error) as raised:
                await client.ask(verb, id)
            assert raised.value.job is None
            assert id in str(raised.value)


async def test_the_keys_of_later_batches_are_no_callers_own(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    async with serve(jobs) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        own = [await client.ask("submit_many", many(1), key=f"import{end}") for end in ("-1", "-2", "1")]
        answers = await client.ask("submit_many", many(5), key="import")
    ids = {handle.id for handle in answers} | {handle.id for [handle] in own}
    assert len(ids) == 8


async def test_the_longest_key_is_good_for_several_batches(jobs: Jobs, connect: Callable[..., Asker]) -> None:
    async with serve(jobs) as site:
        client = connect(f"http://127.0.0.1:{site.port}", patience=0)
        first = await client.ask("submit_many", many(5), key="k" * 255)
        again = await client.ask("submit_many", many(5), key="k" * 255)
    assert len({handle.id for handle in first}) == 5
    assert [handle.id for handle in again] == [handle.id for handle in first]


@pytest.mark.parametrize("key", ["bestellung-\u00fc", "", "a b", "a\n", '"quoted', "k" * 256, 7])
async def test_a_key_that_cannot_be_is_told_before_anything_is_sent(
    jobs: Jobs, connect: Callable[..., Asker], key: Any
) -> None:
    nowhere = connect("http://127.0.0.1:9", patience=0)
    for submitting in (nowhere.ask("submit", "add", {"a": 1}, key=key), nowhere.ask("submit_many", many(1), key=key)):
        with pytest.raises(InvalidOptions, match="1 to 255 visible ASCII") as raised:
            await submitting
        assert raised.value.option == "key"
