"""Where webhooks may go, and that they go nowhere else."""

import asyncio
import ssl
from collections.abc import Callable

import pytest
import trustme
from msgspec.structs import replace

from async_job.core.delivery import DeliveryState
from async_job.errors import AddressRefused
from async_job.settings import Settings
from async_job.store.protocol import Store
from async_job.webhooks.address import checked_addresses, refusal, resolve
from async_job.webhooks.sender import Sender
from async_job.worker.deliverer import HOLD
from support.jobs import end
from support.receiver import Receiver

PUBLIC = "93.184.215.14"

REFUSED = [
    # The first and the last address of each block.
    ("0.0.0.0", "of this network"),
    ("0.255.255.255", "of this network"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "behind a carrier-grade NAT"),
    ("100.127.255.255", "behind a carrier-grade NAT"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"),
    ("169.254.0.0", "link-local"),
    ("169.254.169.254", "link-local"),
    ("169.254.255.255", "link-local"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.0", "reserved"),
    ("192.0.0.255", "reserved"),
    ("192.0.2.1", "for documentation"),
    ("192.88.99.1", "of a 6to4 relay"),
    ("192.168.0.0", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.0", "for benchmarks"),
    ("198.19.255.255", "for benchmarks"),
    ("198.51.100.1", "for documentation"),
    ("203.0.113.1", "for documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.0", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "mapped from IPv4"),
    ("::ffff:10.0.0.1", "mapped from IPv4"),
    (f"::ffff:{PUBLIC}", "mapped from IPv4"),
    ("::7f00:1", "reserved"),
    ("64:ff9b::127.0.0.1", "loopback"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b:1::1", "reserved"),
    ("100::1", "reserved"),
    ("2001::1", "reserved"),
    ("2001:1ff:ffff::", "reserved"),
    ("2001:db8::1", "for documentation"),
    ("2002:7f00:1::", "of 6to4"),
    ("3fff:fff::1", "for documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "of segment routing"),
    ("fc00::1", "private"),
    ("fd12:3456:789a::1", "private"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("febf:ffff::1", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
]

TAKEN = [
    PUBLIC,
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    f"64:ff9b::{PUBLIC}",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
]


@pytest.mark.parametrize(("address", "kind"), REFUSED)
def test_addresses_that_are_refused(address: str, kind: str) -> None:
    assert refusal(address) == kind


@pytest.mark.parametrize("address", TAKEN)
def test_addresses_that_are_taken(address: str) -> None:
    assert refusal(address) is None


class Names:
    """A resolver whose answers are given, one after the other; the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)


async def test_one_address_that_is_refused_is_enough() -> None:
    names = Names([PUBLIC, "2606:4700::1", "10.1.2.3"])
    with pytest.raises(AddressRefused, match=r"example\.com has the address 10\.1\.2\.3, which is private"):
        await checked_addresses("example.com", 443, names.resolve, allow_private=False)
    assert await checked_addresses("example.com", 443, names.resolve, allow_private=True) == names.answers[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "0177.0.0.1", "2130706433", "127.1", "::1", "localhost"])
async def test_no_way_of_writing_an_address_hides_it(host: str) -> None:
    with pytest.raises(AddressRefused, match="loopback"):
        await checked_addresses(host, 443, resolve, allow_private=False)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certified(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    """The receiver's side of TLS, with a certificate for a name."""

    def make(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return make


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class TestSending:
    async def deliver(self, store: Store, sender: Sender, url: str) -> tuple[DeliveryState, str]:
        await end(store, "a", webhook=url)
        (taken,) = await store.outbox.take(10, HOLD)
        tried = await sender.deliver(taken)
        return tried.state, tried.problem

    async def test_goes_to_the_address_that_was_checked_and_keeps_the_name(
        self,
        store: Store,
        settings: Settings,
        certified: Callable[[str], ssl.SSLContext],
        trusting: ssl.SSLContext,
    ) -> None:
        """Who looks the name up again would come to another address."""
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        only_https = replace(settings, webhook_allow_http=False)
        sender = Sender(store, only_https, resolve=names.resolve, tls=trusting)
        async with Receiver().serving(certified("hooks.example.com")) as receiver:
            url = f"https://hooks.example.com:{receiver.port}/in?x=1"
            assert await self.deliver(store, sender, url) == (DeliveryState.DELIVERED, "")
        assert names.asked == [("hooks.example.com", receiver.port)]
        (received,) = receiver.received
        assert received.server_name == "hooks.example.com"
        assert received.headers["host"] == f"hooks.example.com:{receiver.port}"

    async def test_a_certificate_for_another_name_is_refused(
        self,
        store: Store,
        settings: Settings,
        certified: Callable[[str], ssl.SSLContext],
        trusting: ssl.SSLContext,
    ) -> None:
        names = Names(["127.0.0.1"])
        sender = Sender(store, settings, resolve=names.resolve, tls=trusting)
        async with Receiver().serving(certified("other.example.com")) as receiver:
            state, problem = await self.deliver(store, sender, f"https://hooks.example.com:{receiver.port}/")
        assert (state, receiver.received) == (DeliveryState.PENDING, [])
        assert "certificate" in problem.lower()

    @pytest.mark.realtime
    async def test_who_begins_no_tls_is_left_and_the_connection_is_closed(
        self, store: Store, settings: Settings, trusting: ssl.SSLContext
    ) -> None:
        closed = asyncio.Event()

        async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1_000):
                continue
            closed.set()
            writer.close()

        server = await asyncio.start_server(wait_for_the_end, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sender = Sender(store, settings, tls=trusting, timeout=0.2)
        answer = await self.deliver(store, sender, f"https://127.0.0.1:{port}/")
        assert answer == (DeliveryState.PENDING, "no answer within 0.2 s")
        await asyncio.wait_for(closed.wait(), 20)
        server.close()

    async def test_the_next_address_is_tried_when_nobody_listens_at_the_first(
        self, store: Store, settings: Settings
    ) -> None:
        names = Names(["127.0.0.9", "127.0.0.1"])
        sender = Sender(store, settings, resolve=names.resolve)
        async with Receiver().serving() as receiver:
            url = f"http://hooks.example.com:{receiver.port}/"
            assert await self.deliver(store, sender, url) == (DeliveryState.DELIVERED, "")

    async def test_an_ipv6_address_in_the_url(self, store: Store, settings: Settings) -> None:
        sender = Sender(store, settings)
        async with Receiver(host="::1").serving() as receiver:
            assert await self.deliver(store, sender, receiver.url) == (DeliveryState.DELIVERED, "")
        assert receiver.received[0].headers["host"] == f"[::1]:{receiver.port}"

    @pytest.mark.parametrize("answer", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:127.0.0.1"]], ids=str)
    async def test_goes_to_no_private_address_whatever_the_name(
        self, answer: list[str], store: Store, settings: Settings
    ) -> None:
        names = Names(answer)
        sender = Sender(store, replace(settings, webhook_allow_private=False), resolve=names.resolve)
        async with Receiver().serving() as receiver:
            state, problem = await self.deliver(store, sender, f"http://hooks.example.com:{receiver.port}/")
        assert (state, receiver.connections) == (DeliveryState.PENDING, 0)
        assert "hooks.example.com has the address" in problem

    async def test_a_name_without_an_address(self, store: Store, settings: Settings) -> None:
        sender = Sender(store, settings, resolve=Names([]).resolve)
        state, problem = await self.deliver(store, sender, "https://nowhere.example.com/")
        assert state is DeliveryState.PENDING
        assert "nowhere.example.com has no address" in problem

    async def test_proxies_of_the_environment_are_not_asked(
        self, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with Receiver().serving() as proxy, Receiver().serving() as receiver:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            sender = Sender(store, settings)
            assert await self.deliver(store, sender, receiver.url) == (DeliveryState.DELIVERED, "")
        assert proxy.connections == 0
