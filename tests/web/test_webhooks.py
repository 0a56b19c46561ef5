"""`/v1/webhooks`: endpoints, deliveries, and the webhook that a job names."""

from collections.abc import AsyncIterator

import pytest

from async_job import Jobs
from async_job.core.delivery import GONE, DeliveryState, after_try
from async_job.store.protocol import Store
from async_job.webhooks.signing import new_secret
from async_job.webhooks.vault import Vault, new_key
from support.jobs import end
from support.receiver import Receiver
from support.until import until
from support.web import Site, serve

ENDPOINTS = "/v1/webhooks/endpoints"
DELIVERIES = "/v1/webhooks/deliveries"
URL = "https://example.com/hook"
GUID = "0197a3c1-5e6f-7c44-8b0a-3f1d2c9e7a10"


@pytest.fixture
def jobs(store_url: str) -> Jobs:
    return Jobs(store=store_url, webhook_key=new_key())


@pytest.fixture
async def site(jobs: Jobs) -> AsyncIterator[Site]:
    async with serve(jobs) as site:
        yield site


@pytest.fixture
async def store(site: Site, jobs: Jobs) -> Store:
    return await jobs.store()


async def add(site: Site, name: str = "hook", url: str = URL) -> str:
    answer = await site.post(ENDPOINTS, json={"name": name, "url": url})
    assert answer.status_code == 201, answer.text
    secret = answer.json()["secret"]
    assert isinstance(secret, str)
    return secret


class TestEndpoints:
    async def test_are_added_listed_and_removed(self, site: Site) -> None:
        assert (await site.get(ENDPOINTS)).json() == {"items": []}
        answer = await site.post(ENDPOINTS, json={"name": "b", "url": URL})
        added = answer.json()
        assert answer.status_code == 201
        assert added.pop("secret").startswith("whsec_")
        await add(site, "a", "https://example.org:8443/x?y=1")
        listed = (await site.get(ENDPOINTS)).json()["items"]
        assert [one["name"] for one in listed] == ["a", "b"]
        assert listed[1] == added == {"name": "b", "url": URL, "enabled": True, "created_at": added["created_at"]}
        assert (await site.delete(f"{ENDPOINTS}/b")).status_code == 204
        assert [one["name"] for one in (await site.get(ENDPOINTS)).json()["items"]] == ["a"]

    async def test_the_secret_may_be_given_and_is_stored_encrypted(self, site: Site, store: Store, jobs: Jobs) -> None:
        secret = new_secret()
        answer = await site.post(ENDPOINTS, json={"name": "hook", "url": URL, "secret": secret})
        assert answer.json()["secret"] == secret
        (stored,) = (await store.administration.documents("endpoint")).values()
        bare = secret.removeprefix("whsec_").encode()
        assert bare not in stored
        sealed = stored.partition(b'"secret":"')[2].partition(b'"')[0]
        assert Vault(jobs.settings.webhook_key).unseal(sealed.decode()) == secret

    async def test_a_name_is_taken_once(self, site: Site) -> None:
        await add(site)
        answer = await site.post(ENDPOINTS, json={"name": "hook", "url": URL})
        assert (answer.status_code, answer.json()["code"]) == (409, "endpoint_exists")

    async def test_what_is_not_there_cannot_be_removed(self, site: Site) -> None:
        for name in ("hook", "%00", "a%2Fb", "ä"):
            answer = await site.delete(f"{ENDPOINTS}/{name}")
            assert answer.status_code == 404, name

    @pytest.mark.parametrize(
        ("body", "option"),
        [
            ({"name": "a b", "url": URL}, "name"),
            ({"name": "", "url": URL}, "name"),
            ({"name": "hook", "url": "http://example.com"}, "url"),
            ({"name": "hook", "url": "https://127.0.0.1/"}, "url"),
            ({"name": "hook", "url": "hook"}, "url"),
            ({"name": "hook", "url": URL, "secret": "s"}, "secret"),
            ({"name": "hook", "url": URL, "secret": "whsec_AAAA"}, "secret"),
        ],
    )
    async def test_what_cannot_be(self, site: Site, body: dict[str, str], option: str) -> None:
        answer = await site.post(ENDPOINTS, json=body)
        assert (answer.status_code, answer.json()["option"]) == (422, option)
        assert (await site.get(ENDPOINTS)).json() == {"items": []}

    @pytest.mark.parametrize("body", [{}, {"name": "a"}, [], 1, {"name": "a", "url": URL, "more": 1}])
    async def test_bodies_of_another_shape(self, site: Site, body: object) -> None:
        assert (await site.post(ENDPOINTS, json=body)).status_code == 422

    async def test_without_a_key_there_are_none(self, store_url: str) -> None:
        async with serve(Jobs(store=store_url)) as site:
            answer = await site.post(ENDPOINTS, json={"name": "hook", "url": URL})
            assert (answer.status_code, answer.json()["code"]) == (409, "webhooks_not_set_up")
            answer = await site.post("/v1/jobs", json={"type": "demo", "webhook": "hook"})
            assert (answer.status_code, answer.json()["option"]) == (422, "webhook")


class TestAJob:
    async def test_names_an_endpoint_that_is_there(self, site: Site, store: Store) -> None:
        await add(site)
        answer = await site.post("/v1/jobs", json={"type": "demo", "webhook": "hook"})
        assert answer.status_code == 202
        [job] = await store.get([answer.json()["id"]])
        assert job is not None
        assert job.webhook == "hook"

    @pytest.mark.parametrize(
        "webhook",
        ["nobody", "", "a b", "a/b", "ä", "\0", "http://example.com/", "https://", "https://10.0.0.1/", "ftp://a/", ":",
         "https://u:p@example.com/", "https://example.com/#x", "https://example.com:99999/", f"https://a/{'x' * 2048}"],
    )  # fmt: skip
    async def test_names_nothing_else(self, site: Site, store: Store, webhook: str) -> None:
        await add(site)
        answer = await site.post("/v1/jobs", json={"type": "demo", "webhook": webhook})
        assert (answer.status_code, answer.json()["option"]) == (422, "webhook"), answer.text
        assert (await store.counts()).states["queued"] == 0

    async def test_names_a_url(self, site: Site) -> None:
        answer = await site.post("/v1/jobs", json={"type": "demo", "webhook": f"{URL}?id=1"})
        assert answer.status_code == 202


class TestDeliveries:
    async def test_are_listed_newest_first_and_of_a_job(self, site: Site, store: Store) -> None:
        await end(store, GUID, webhook="hook")
        await end(store, f"{GUID[:-1]}1", webhook="other")
        await store.outbox.settle([after_try((await store.outbox.deliveries(GUID))[0], GONE, "gone", store.now())])
        both = (await site.get(DELIVERIES)).json()["items"]
        assert [one["target"] for one in both] == ["other", "hook"]
        for job in (GUID, GUID.upper()):
            (one,) = (await site.get(DELIVERIES, params={"job": job})).json()["items"]
            assert one.pop("id").startswith(f"msg_{GUID}_")
            assert {name: one[name] for name in ("job", "event", "state", "tries", "status", "problem")} == {
                "job": GUID,
                "event": "job.cancelled",
                "state": "given_up",
                "tries": 1,
                "status": 410,
                "problem": "gone",
            }
            assert one["next_try_at"] is None
            assert one["tried_at"].endswith("Z")

    @pytest.mark.parametrize("job", ["nobody", "", "%00", "%FF", f"{GUID[:-1]}2"])
    async def test_of_no_job(self, site: Site, store: Store, job: str) -> None:
        await end(store, GUID, webhook="hook")
        assert (await site.get(f"{DELIVERIES}?job={job}")).json() == {"items": []}

    async def test_are_sent_again(self, site: Site, store: Store) -> None:
        await end(store, GUID, webhook="hook")
        (delivery,) = await store.outbox.deliveries(GUID)
        await store.outbox.settle([after_try(delivery, 200, "", store.now())])
        answer = await site.post(f"{DELIVERIES}/{delivery.id}/replay")
        assert answer.status_code == 202
        assert (answer.json()["state"], answer.json()["tries"]) == ("pending", 0)
        (again,) = await store.outbox.deliveries(GUID)
        assert again.state is DeliveryState.PENDING

    @pytest.mark.parametrize("id", ["x", "msg_a_1", f"msg_{GUID}_1", "%00", "%FF"])
    async def test_of_none_there_is_no_replay(self, site: Site, id: str) -> None:
        answer = await site.post(f"{DELIVERIES}/{id}/replay")
        assert (answer.status_code, answer.json()["code"]) == (404, "delivery_not_found")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as receiver:
        yield receiver


@pytest.mark.realtime
async def test_from_the_submit_to_the_receiver(store_url: str, receiver: Receiver) -> None:
    """All of it: a worker in this process, the loop beside it, and a receiver."""
    jobs = Jobs(
        store=store_url,
        demo_seconds=0,
        webhook_key=new_key(),
        webhook_allow_http=True,
        webhook_allow_private=True,
    )
    async with serve(jobs, worker=True) as site:
        secret = await add(site, url=receiver.url)
        answer = await site.post("/v1/jobs", json={"type": "demo", "webhook": "hook"})
        id = answer.json()["id"]
        await until(lambda: receiver.received)
        message = receiver.received[0].verified(secret)
        assert message["type"] == "job.succeeded"
        assert message["data"].items() <= (await site.get(f"/v1/jobs/{id}")).json().items()
