"""The handler that makes many jobs in one request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.types import Receive, Scope

from async_job.errors import AsyncJobError, KeyReused
from async_job.handle import Handle
from async_job.job_view import view_job
from async_job.jobs import Jobs
from async_job.store.protocol import IdempotencyKey
from async_job.submitting import Request
from async_job.web.answer import Answer, Headers, json_answer
from async_job.web.body import check_input, decode, read_json
from async_job.web.caller import check_webhook, key_of
from async_job.web.idempotency import REPLAYED, no_longer_kept
from async_job.web.intake import Intake
from async_job.web.problems import Problem, problem_of
from async_job.web.schemas import Submission
from async_job.web.schemas_lists import BatchAnswer, BatchItem, BatchRequest

decode_batch = msgspec.json.Decoder(BatchRequest).decode

Taken = Handle[Any] | AsyncJobError | Problem
"""What became of one entry."""
Answers = dict[int, Taken]
"""By their places in the body."""


class Batches:
    def __init__(self, jobs: Jobs, intake: Intake) -> None:
        self._jobs = jobs
        self._intake = intake

    async def submit(self, scope: Scope, receive: Receive) -> Answer:
        """Starts many jobs; each entry gets its own answer. An idempotency key is for the batch as a whole."""
        settings = self._jobs.settings
        body = await read_json(scope, receive, settings.max_body, settings.body_deadline)
        entries = decode(decode_batch, body).jobs
        key = await self._intake.key(scope, "POST /v1/jobs/batch", body)
        taken = [self._request(scope, entry) for entry in entries]
        requests = {place: one for place, one in enumerate(taken) if isinstance(one, Request)}
        full = await self._intake.refusals(Counter(request.queue for request in requests.values()))
        admitted = {place: one for place, one in requests.items() if one.queue not in full}
        if full and not admitted:
            raise next(iter(full.values()))
        stored = await self._submit(admitted, requests, key)
        if full and any(isinstance(one, Handle) and one.replayed for one in stored.values()):
            # The batch was here before. Nobody knows which of those that are not admitted now have their jobs already.
            raise next(iter(full.values()))
        answers = [
            (stored.get(place) or full[one.queue]) if isinstance(one, Request) else one
            for place, one in enumerate(taken)
        ]
        replayed = key is not None and all(isinstance(one, Handle) and one.replayed for one in answers)
        return await self._answer(scope, answers, [REPLAYED] if replayed else [])

    def _request(self, scope: Scope, entry: Submission) -> Request[Any] | AsyncJobError | Problem:
        settings = self._jobs.settings
        try:
            input = bytes(entry.input)
            check_input(input, settings.max_input, settings.max_depth)
            check_webhook(scope, entry.webhook)
            return self._jobs.request(entry.type, input, entry.options, owner=key_of(scope))
        except (AsyncJobError, Problem) as error:
            return error

    async def _submit(
        self, admitted: Mapping[int, Request[Any]], requests: Mapping[int, Request[Any]], key: IdempotencyKey | None
    ) -> Answers:
        """The admitted ones of the requests, by their places in the body. With a key, the first job that is stored
        under it decides: a batch that differs meets it and goes no further. Each other entry has a key of its own, so
        that a batch which was cut off is completed when it is sent again. Whose job is whose does not hang on what
        became of the others: places are in the keys, and for the first one in its fingerprint."""
        if key is None:
            return await self._submit_all(admitted)
        wholes = {place: replace(one, key=_whole(key, place)) for place, one in requests.items()}
        answers: Answers = {}
        for place in admitted:
            first = await self._submit_all({place: wholes[place]})
            answer = first[place]
            if isinstance(answer, KeyReused):
                # By a batch that differs, or by this one, if another entry came first then.
                first = {n: one for n, one in (await self._submit_all(wholes)).items() if _has_key(one)}
                if not first:
                    raise answer
            answers |= first
            if any(map(_has_key, first.values())):
                left = {n: replace(one, key=_own(key, n)) for n, one in admitted.items() if n not in answers}
                return answers | await self._submit_all(left)
        return answers

    async def _submit_all(self, requests: Mapping[int, Request[Any]]) -> Answers:
        return dict(zip(requests, await self._jobs.submit_many([*requests.values()]), strict=True))

    async def _answer(self, scope: Scope, answers: Sequence[Taken], headers: Headers) -> Answer:
        """Jobs that were there before are read together."""
        older = [one.id for one in answers if isinstance(one, Handle) and one.submitted is None]
        read = dict(zip(older, await (await self._jobs.store()).get(older), strict=True)) if older else {}
        items = []
        for answer in answers:
            job = (answer.submitted or read[answer.id]) if isinstance(answer, Handle) else None
            if job is not None:
                items.append(BatchItem(202, job=view_job(job, scope["root_path"])))
            else:
                problem = no_longer_kept(answer.id) if isinstance(answer, Handle) else _problem(answer)
                items.append(BatchItem(problem.status, problem=problem.document()))
        return json_answer(BatchAnswer(items), 200, headers)


def _whole(key: IdempotencyKey, place: int) -> IdempotencyKey:
    """The batch's key in the hands of one entry."""
    return replace(key, fingerprint=f"{key.fingerprint} {place}")


def _own(key: IdempotencyKey, place: int) -> IdempotencyKey:
    return replace(key, name=f"{key.name} {place}")


def _has_key(answer: Taken) -> bool:
    """Whether its job is the one that is stored under its key."""
    return isinstance(answer, Handle) and (answer.created or answer.replayed)


def _problem(error: AsyncJobError | Problem) -> Problem:
    if isinstance(error, Problem):
        return error
    problem = problem_of(error)
    if problem is None:
        raise error
    return problem
