"""Messages on their way: signed, tried by the schedule, given up, and never lost."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from standardwebhooks.webhooks import WebhookVerificationError

from async_job.clock import ManualClock
from async_job.core.delivery import SCHEDULE, Delivery, DeliveryState
from async_job.core.job import State
from async_job.core.lifecycle import Event, Failed, Overdue, RetryRequested, Stopped, Succeeded
from async_job.errors import DeliveryNotFound
from async_job.job_view import time, view_job
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.deliveries import find, replay
from async_job.webhooks.endpoints import Endpoints
from async_job.webhooks.sender import Sender
from async_job.webhooks.vault import Vault, new_key
from async_job.worker.deliverer import HOLD
from support.jobs import end, error, read, run, submit, tell
from support.receiver import Answer, Receiver, answering


async def add_endpoint(store: Store, settings: Settings, receiver: Receiver, name: str = "hook") -> str:
    """Its secret."""
    _, secret = await Endpoints(store, settings).add(name, receiver.url)
    return secret


async def deliver_due(store: Store, sender: Sender) -> list[Delivery]:
    return [await sender.deliver(delivery) for delivery in await store.outbox.take(100, HOLD)]


async def deliveries(store: Store) -> list[Delivery]:
    return await find(store)


class TestTheMessage:
    async def test_is_signed_for_its_endpoint_and_has_the_job(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        secret = await add_endpoint(store, settings, receiver)
        (job,) = await run(store, "a", webhook="hook", input=b'{"n":12345678901234567890123}')
        job = await tell(store, job, Succeeded("w:1", b'{"sum":[1,2.50]}'))
        (delivered,) = await deliver_due(store, sender)
        assert delivered.state is DeliveryState.DELIVERED
        assert delivered.status == 204
        (received,) = receiver.received
        assert received.verified(secret) == {
            "type": "job.succeeded",
            "timestamp": time(store.now()),
            "data": json.loads(msgspec.json.encode(view_job(job, root=""))),
        }
        assert received.line == "POST /hook HTTP/1.1"
        assert received.headers["content-type"] == "application/json"
        assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert received.id == delivered.id

    async def test_for_another_secret_it_does_not_verify(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        await add_endpoint(store, settings, receiver)
        other = await add_endpoint(store, settings, receiver, "other")
        await end(store, "a", webhook="hook")
        await deliver_due(store, sender)
        with pytest.raises(WebhookVerificationError):
            receiver.received[0].verified(other)

    @pytest.mark.parametrize(
        ("event", "state"),
        [
            (Succeeded("w:1", b"1"), State.SUCCEEDED),
            (Failed("w:1", error(retryable=False)), State.FAILED),
            (Stopped("w:1"), State.CANCELLED),
        ],
        ids=str,
    )
    async def test_each_end_of_a_run(
        self, event: Event, state: State, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        secret = await add_endpoint(store, settings, receiver)
        (job,) = await run(store, "a", webhook="hook")
        await tell(store, job, event)
        await deliver_due(store, sender)
        message = receiver.received[0].verified(secret)
        assert message["type"] == f"job.{state}"
        assert message["data"]["state"] == state

    async def test_an_end_without_a_run(
        self, store: Store, clock: ManualClock, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        secret = await add_endpoint(store, settings, receiver)
        (job,) = await submit(store, "a", webhook="hook", start_by=store.now() + 1)
        clock.advance(0.001)
        await tell(store, job, Overdue())
        await deliver_due(store, sender)
        assert receiver.received[0].verified(secret)["type"] == "job.expired"

    async def test_to_a_url_it_is_signed_with_the_secret_of_that_url(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        await end(store, "a", webhook=f"{receiver.url}?id=7")
        (delivered,) = await deliver_due(store, sender)
        assert delivered.state is DeliveryState.DELIVERED
        (received,) = receiver.received
        assert received.line == "POST /hook?id=7 HTTP/1.1"
        (secret,) = Vault(settings.webhook_key).secrets_of(receiver.url)
        assert received.verified(secret)["data"]["id"] == "a"

    async def test_secrets_in_it_are_masked(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        await add_endpoint(store, settings, receiver)
        job_input = b'{"user":"ada","password":"hunter2","deep":[{"apiKey":{"a":"hunter2"}}]}'
        (job,) = await run(store, "a", webhook="hook", input=job_input, labels={"auth-token": "hunter2", "team": "b"})
        await tell(store, job, Succeeded("w:1", b'{"access_token":"hunter2"}'))
        await deliver_due(store, sender)
        body = receiver.received[0].body
        assert b"hunter2" not in body
        data = json.loads(body)["data"]
        assert data["input"] == {"user": "ada", "password": "***", "deep": [{"apiKey": "***"}]}
        assert data["result"] == {"access_token": "***"}
        assert data["labels"] == {"auth-token": "***", "team": "b"}


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def babble(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff no HTTP\r\n\r\n")


async def talk_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65_536)
        await writer.drain()


async def keep_silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


class TestTrying:
    async def test_again_by_the_schedule_until_it_is_given_up(
        self, store: Store, clock: ManualClock, settings: Settings, sender: Sender
    ) -> None:
        async with Receiver(answering(500)).serving() as receiver:
            await add_endpoint(store, settings, receiver)
            await end(store, "a", webhook="hook")
            waited = []
            (tried,) = await deliver_due(store, sender)
            while tried.state is DeliveryState.PENDING:
                waited.append(tried.due_at - clock.now())
                clock.advance((waited[-1] - 1) / 1000)
                assert await store.outbox.take(10, HOLD) == []
                clock.advance(0.001)
                (tried,) = await deliver_due(store, sender)
        assert tuple(waited) == SCHEDULE
        assert tried.state is DeliveryState.GIVEN_UP
        assert (tried.tries, tried.status, tried.problem) == (len(SCHEDULE) + 1, 500, "answered 500")
        ids = {received.id for received in receiver.received}
        assert ids == {tried.id}
        times = [int(received.headers["webhook-timestamp"]) for received in receiver.received]
        # It is the time of each try, in whole seconds.
        assert [after - before for before, after in pairwise(times)] == [wait // 1000 for wait in SCHEDULE]
        clock.advance(86_400)
        assert await store.outbox.take(10, HOLD) == []

    async def test_until_it_is_taken(
        self, store: Store, clock: ManualClock, settings: Settings, sender: Sender
    ) -> None:
        async with Receiver(answering(503), close, answering(200)).serving() as receiver:
            secret = await add_endpoint(store, settings, receiver)
            await end(store, "a", webhook="hook")
            states = []
            for _ in range(3):
                (tried,) = await deliver_due(store, sender)
                states.append((tried.state, tried.status))
                clock.advance(30)
        assert states == [
            (DeliveryState.PENDING, 503),
            (DeliveryState.PENDING, None),
            (DeliveryState.DELIVERED, 200),
        ]
        assert receiver.received[-1].verified(secret)

    async def test_410_ends_it_and_disables_the_endpoint(
        self, store: Store, settings: Settings, sender: Sender
    ) -> None:
        async with Receiver(answering(410)).serving() as receiver:
            await add_endpoint(store, settings, receiver)
            await end(store, "a", "b", webhook="hook")
            first, second = await deliver_due(store, sender)
        assert (first.state, first.status) == (DeliveryState.GIVEN_UP, 410)
        assert (second.state, second.tries) == (DeliveryState.GIVEN_UP, 0)
        assert "disabled" in second.problem
        assert len(receiver.received) == 1
        assert not (await Endpoints(store, settings).get("hook")).enabled
        assert await store.outbox.take(10, HOLD) == []

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_redirects_are_not_followed(
        self, status: int, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        async with Receiver(answering(status, f"location: {receiver.url}")).serving() as away:
            await add_endpoint(store, settings, away)
            await end(store, "a", webhook="hook")
            (tried,) = await deliver_due(store, sender)
        assert (tried.state, tried.status) == (DeliveryState.PENDING, status)
        assert "redirects are not followed" in tried.problem
        assert len(away.received) == 1
        assert receiver.connections == 0

    @pytest.mark.parametrize("answer", [close, babble], ids=lambda answer: answer.__name__)
    async def test_what_is_no_answer(self, answer: Answer, store: Store, settings: Settings, sender: Sender) -> None:
        async with Receiver(answer).serving() as receiver:
            await add_endpoint(store, settings, receiver)
            await end(store, "a", webhook="hook")
            (tried,) = await deliver_due(store, sender)
        assert (tried.state, tried.status, tried.tries) == (DeliveryState.PENDING, None, 1)
        assert "ProtocolError" in tried.problem

    async def test_nobody_listens(self, store: Store, settings: Settings, sender: Sender) -> None:
        async with Receiver().serving() as receiver:
            await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        (tried,) = await deliver_due(store, sender)
        assert (tried.state, tried.status, tried.tries) == (DeliveryState.PENDING, None, 1)
        assert "ConnectError" in tried.problem

    async def test_an_answer_without_end_is_not_listened_to(
        self, store: Store, settings: Settings, sender: Sender
    ) -> None:
        async with Receiver(talk_without_end).serving() as receiver:
            await add_endpoint(store, settings, receiver)
            await end(store, "a", webhook="hook")
            (tried,) = await deliver_due(store, sender)
        assert tried.state is DeliveryState.DELIVERED

    @pytest.mark.realtime
    async def test_a_slow_receiver_is_left(self, store: Store, settings: Settings) -> None:
        sender = Sender(store, settings, timeout=0.2)
        async with Receiver(keep_silent).serving() as receiver:
            await add_endpoint(store, settings, receiver)
            await end(store, "a", webhook="hook")
            (tried,) = await deliver_due(store, sender)
        assert (tried.state, tried.status) == (DeliveryState.PENDING, None)
        assert tried.problem == "no answer within 0.2 s"

    @pytest.mark.realtime
    async def test_a_good_status_counts_whatever_comes_after_it(self, store: Store, settings: Settings) -> None:
        async def begin(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\n123")
            await writer.drain()
            await asyncio.Event().wait()

        async with Receiver(begin).serving() as receiver:
            await add_endpoint(store, settings, receiver)
            await end(store, "a", webhook="hook")
            (tried,) = await deliver_due(store, Sender(store, settings, timeout=0.5))
        assert (tried.state, tried.status, tried.problem) == (DeliveryState.DELIVERED, 202, "")


class TestNothingIsLost:
    async def test_it_is_written_with_the_end_of_the_job(self, store: Store) -> None:
        (job,) = await run(store, "a", webhook="hook")
        assert await deliveries(store) == []
        await tell(store, job, Succeeded("w:1", b"1"))
        (delivery,) = await deliveries(store)
        assert (delivery.job_id, delivery.event, delivery.state) == ("a", "job.succeeded", DeliveryState.PENDING)

    async def test_who_dies_after_sending_is_followed_by_another_with_the_same_id(
        self, store: Store, clock: ManualClock, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        secret = await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        (taken,) = await store.outbox.take(10, HOLD)
        await sender.attempt(taken)
        assert await store.outbox.take(10, HOLD) == []
        clock.advance(HOLD / 1000)
        (tried,) = await deliver_due(store, Sender(store, settings))
        assert (tried.state, tried.tries) == (DeliveryState.DELIVERED, 1)
        first, second = receiver.received
        assert first.id == second.id == taken.id
        assert first.verified(secret)["data"] == json.loads(second.body)["data"]

    async def test_who_is_stopped_while_sending_has_written_nothing(
        self, store: Store, clock: ManualClock, settings: Settings, sender: Sender
    ) -> None:
        async with Receiver(keep_silent, answering(200)).serving() as receiver:
            await add_endpoint(store, settings, receiver)
            await end(store, "a", webhook="hook")
            (taken,) = await store.outbox.take(10, HOLD)
            sending = asyncio.create_task(sender.deliver(taken))
            await receiver.arrived.wait()
            sending.cancel()
            await asyncio.wait([sending])
            assert [one.tries for one in await deliveries(store)] == [0]
            clock.advance(HOLD / 1000)
            (tried,) = await deliver_due(store, sender)
        assert tried.state is DeliveryState.DELIVERED
        assert receiver.received[0].id == receiver.received[1].id


class TestReplay:
    async def test_sends_it_again_under_the_same_id(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        secret = await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        (delivered,) = await deliver_due(store, sender)
        again = await replay(store, delivered.id)
        assert (again.state, again.tries) == (DeliveryState.PENDING, 0)
        await deliver_due(store, sender)
        assert [received.id for received in receiver.received] == [delivered.id] * 2
        assert receiver.received[1].verified(secret)

    async def test_while_it_is_on_its_way(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        (taken,) = await store.outbox.take(10, HOLD)
        again = await replay(store, taken.id)
        await sender.deliver(taken)
        assert await deliveries(store) == [again]
        await deliver_due(store, sender)
        assert [received.id for received in receiver.received] == [taken.id] * 2

    async def test_of_what_was_given_up(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        await Endpoints(store, settings).remove("hook")
        (given_up,) = await deliver_due(store, sender)
        assert given_up.state is DeliveryState.GIVEN_UP
        assert "no webhook endpoint 'hook'" in given_up.problem
        assert receiver.received == []
        secret = await add_endpoint(store, settings, receiver)
        await replay(store, given_up.id)
        (tried,) = await deliver_due(store, sender)
        assert tried.state is DeliveryState.DELIVERED
        assert receiver.received[0].verified(secret)

    @pytest.mark.parametrize("id", ["", "msg", "msg_a", "msg_a_1", "nothing", "msg__", "ä\x00"])
    async def test_of_what_is_not_there(self, id: str, store: Store) -> None:
        with pytest.raises(DeliveryNotFound):
            await replay(store, id)


class TestWhatCannotBeSent:
    async def test_a_job_that_is_gone(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        (taken,) = await store.outbox.take(10, HOLD)
        await store.delete(["a"])
        tried = await sender.deliver(taken)
        assert (tried.state, tried.problem) == (DeliveryState.GIVEN_UP, "the job is no longer kept")
        assert receiver.received == []
        assert await deliveries(store) == []

    async def test_the_job_as_it_is_when_it_is_sent(
        self, store: Store, settings: Settings, sender: Sender, receiver: Receiver
    ) -> None:
        """The event says what happened; the data, how the job is now."""
        await add_endpoint(store, settings, receiver)
        (cancelled,) = await end(store, "a", webhook="hook")
        await tell(store, cancelled, RetryRequested())
        await deliver_due(store, sender)
        message = json.loads(receiver.received[0].body)
        assert (message["type"], message["data"]["state"]) == ("job.cancelled", "queued")
        assert message["data"]["version"] == (await read(store, "a")).version

    @pytest.mark.parametrize(
        ("changed", "problem"),
        [
            ({"webhook_allow_http": False}, "has to begin with https://"),
            ({"webhook_allow_private": False}, "127.0.0.1 is loopback"),
            ({"webhook_key": ""}, "webhooks need a key"),
            ({"webhook_key": new_key()}, "encrypted with another webhook_key"),
        ],
    )
    async def test_what_the_settings_do_not_allow_is_tried_again(
        self,
        changed: dict[str, Any],
        problem: str,
        store: Store,
        clock: ManualClock,
        settings: Settings,
        sender: Sender,
        receiver: Receiver,
    ) -> None:
        secret = await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        (tried,) = await deliver_due(store, Sender(store, replace(settings, **changed)))
        assert (tried.state, tried.status) == (DeliveryState.PENDING, None)
        assert problem in tried.problem
        assert receiver.connections == 0
        clock.advance(SCHEDULE[0] / 1000)
        await deliver_due(store, sender)
        assert receiver.received[0].verified(secret)

    async def test_an_old_key_behind_the_new_one_still_decrypts(
        self, store: Store, settings: Settings, receiver: Receiver
    ) -> None:
        secret = await add_endpoint(store, settings, receiver)
        await end(store, "a", webhook="hook")
        await end(store, "b", webhook=receiver.url)
        both = replace(settings, webhook_key=f"{new_key()},{settings.webhook_key}")
        await deliver_due(store, Sender(store, both))
        assert receiver.received[0].verified(secret)
        # To a URL it is signed for both keys, so that receivers may change their secret in their own time.
        for known in Vault(both.webhook_key).secrets_of(receiver.url):
            assert receiver.received[1].verified(known)
