"""What comes before a request's body, and what is no HTTP at all."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import pytest
import pytest_asyncio

from async_job.web import body, connection, sse
from support.until import until
from support.web import Site, make_jobs, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "garbage", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET \xff HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_is_told_so_in_a_problem_document(plain: Site, garbage: bytes) -> None:
    answer = await plain.exchange(garbage)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/problem+json\r\n" in answer
    assert b'"code":"malformed_http"' in answer


def connections(site: Site) -> list[connection.Connection]:
    return [c for c in site.server.server_state.connections if isinstance(c, connection.Connection)]


def has_taken(served: connection.Connection, before: int) -> bool:
    return served.head_size > before or served.transport.is_closing()


@pytest.mark.parametrize(
    "piece", [b"X-Header: %b\r\n" % (b"x" * 1000), b"x" * 4000], ids=["many headers", "one long header"]
)
async def test_headers_have_a_limit(plain: Site, piece: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
    await until(lambda: any(c.in_head for c in connections(plain)))
    [served] = [c for c in connections(plain) if c.in_head]
    while not served.transport.is_closing():
        assert served.head_size <= connection.LARGEST_HEAD
        # In small steps, each taken in before the next: an answer is lost when more is on its way.
        writer.write(piece)
        await until(partial(has_taken, served, served.head_size))
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"head_too_large"' in answer
    writer.close()


CHUNKED = b"POST /start-job HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n"


@pytest.mark.parametrize(
    ("begun", "piece"),
    [(b"0\r\n", b"X: %b\r\n" % (b"x" * 4000)), (b"0\r\nX: ", b"x" * 4000), (b"1;x=", b"x" * 4000)],
    ids=["many trailers", "one long trailer", "a long chunk extension"],
)
async def test_so_has_what_follows_the_body(plain: Site, begun: bytes, piece: bytes) -> None:
    before = set(connections(plain))
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(CHUNKED)
    await until(lambda: set(connections(plain)) - before)
    [served] = set(connections(plain)) - before
    await until(lambda: served.cycle is not None)
    writer.write(begun)
    while not served.transport.is_closing():
        assert served.head_size <= connection.LARGEST_HEAD
        writer.write(piece)
        await until(partial(has_taken, served, served.head_size))
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_trailers_are_no_headers(plain: Site) -> None:
    answer = await plain.exchange(
        CHUNKED + b"0\r\nIdempotency-Key: \r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.endswith(b'{"status":"ok"}')


async def test_whoever_asks_on_and_on_without_waiting_for_answers_is_cut(
    plain: Site, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    before = plain.server.server_state.total_requests
    writer.write(b"POST /start-job HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10 * connection.MOST_AHEAD)
    with suppress(ConnectionError):
        while await reader.read(100_000):
            continue
    await until(lambda: not plain.server.server_state.tasks)
    assert plain.server.server_state.total_requests - before < 2 * connection.MOST_AHEAD
    assert not caplog.records
    writer.close()


async def test_more_connections_than_the_most_are_refused() -> None:
    async with serve(make_jobs("memory://", max_connections=2)) as site:
        held = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(2)]
        await until(lambda: len(connections(site)) == 2)
        answer = await site.exchange(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"too_many_connections"' in answer
        assert b"\r\nretry-after: 5\r\n" in answer
        held.pop()[1].close()
        await until(lambda: len(connections(site)) == 1)
        assert (await site.get("/healthz")).is_success
        held.pop()[1].close()


@pytest_asyncio.fixture(loop_scope="module")
async def hasty() -> AsyncIterator[Site]:
    """A server with hardly any patience."""
    jobs = make_jobs("memory://", head_deadline=0.2, body_deadline=0.05, send_deadline=0.5)
    async with serve(jobs) as site:
        yield site


@pytest.mark.realtime
@pytest.mark.parametrize(("answers", "last"), [(1, b"Connection: close\r\n"), (40, b"")])
async def test_an_answer_that_is_not_read_is_not_kept(hasty: Site, answers: int, last: bytes) -> None:
    served, one = hasty.server.server_state, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"
    before = served.total_requests
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", hasty.port))
        deaf.sendall((one + b"\r\n") * (answers - 1) + one + last + b"\r\n")
        await until(lambda: served.total_requests > before)
        await until(lambda: not connections(hasty) and not served.tasks)


@pytest.mark.realtime
async def test_an_answer_that_is_read_slowly_is_sent_to_its_end(hasty: Site) -> None:
    whole = (await hasty.get("/openapi.json")).content
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", hasty.port))
        slow.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        slow.setblocking(False)
        loop, got = asyncio.get_running_loop(), b""
        while piece := await loop.sock_recv(slow, 4096):
            got += piece
            await asyncio.sleep(0.01)
    assert got.endswith(whole)


@pytest.mark.realtime
@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(hasty: Site, begun: bytes) -> None:
    assert await hasty.exchange(begun) == b""


@pytest.mark.realtime
async def test_nor_the_second_on_the_same_connection(hasty: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await reader.readuntil(b'{"status":"ok"}')
    writer.write(b"GET /heal")
    assert await reader.read() == b""
    assert answer.startswith(b"HTTP/1.1 200 OK")
    writer.close()


@pytest.mark.realtime
async def test_a_connection_is_closed_when_it_has_rested_and_not_while_it_is_asked(hasty: Site) -> None:
    start = await hasty.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
    await until(lambda: connections(hasty))
    for served in connections(hasty):
        served.timeout_keep_alive = 0.5  # type: ignore[assignment]
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b'{"status":"ok"}')
    # This one is under way when the rest after the first would have been long enough.
    writer.write(b"GET /v1/jobs/%b HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=1\r\n\r\n" % start.encode())
    answer = await reader.read()
    assert b"\r\npreference-applied: wait=1\r\n" in answer
    writer.close()


@pytest.mark.realtime
@pytest.mark.parametrize("begun", [b"", b"1\r\n{\r\n"], ids=["not even begun", "begun"])
@pytest.mark.parametrize("said", [b"Content-Length: 20", b"Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_not_waited_for(hasty: Site, said: bytes, begun: bytes) -> None:
    answer = await hasty.exchange(
        b"POST /start-job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + said
        + b"\r\n\r\n"
        + begun
    )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_timeout"' in answer


async def test_a_client_that_goes_in_the_middle_of_its_body_starts_nothing(plain: Site) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(b"POST /start-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
    await until(lambda: plain.server.server_state.tasks)
    [answering] = plain.server.server_state.tasks
    writer.close()
    done, _ = await asyncio.wait([answering], timeout=20)
    assert done
    assert answering.exception() is None


async def test_requests_in_a_row_are_answered_in_a_row(plain: Site) -> None:
    one = b"POST /start-job HTTP/1.1\r\nHost: localhost\r\n"
    answer = await plain.exchange((one + b"\r\n") * 20 + one + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 21


async def test_a_connection_lives_on_after_a_refused_body(plain: Site) -> None:
    request = b"POST /start-job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b" " * 1_000_000
    answer = await plain.exchange(request + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"status":"ok"}')


TCP_INFO_DATA_SEGMENTS_IN = 152
"""Where in Linux' `tcp_info` stands how many segments with data have come."""


def segments_in(writer: asyncio.StreamWriter) -> int:
    found: socket.socket = writer.get_extra_info("socket")
    info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int.from_bytes(info[TCP_INFO_DATA_SEGMENTS_IN:][:4], sys.byteorder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count segments")
@pytest.mark.parametrize("request_line", [b"GET /healthz", b"HEAD /healthz", b"POST /start-job", b"GET /none"])
async def test_an_answer_comes_in_one_piece(plain: Site, request_line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    length = b"content-length: "
    for _ in range(3):
        writer.write(request_line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        if not request_line.startswith(b"HEAD"):
            await reader.readexactly(int(head.partition(length)[2].partition(b"\r\n")[0]))
    assert segments_in(writer) == 3
    writer.close()


async def test_who_asks_whether_to_send_the_body_is_told_at_once(plain: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(b"POST /start-job HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 415 ")
    writer.close()


async def test_a_stream_with_nothing_to_tell_yet_begins_at_once(plain: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    last = (await plain.get("/v1/events", headers={"Accept": "application/json"})).json()["next"]
    writer.write(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %b\r\n\r\n" % last.encode())
    async with asyncio.timeout(sse.PAUSE / 3):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_no_timer_runs_for_a_body_that_is_there(plain: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []

    def timeout(seconds: float) -> asyncio.Timeout:
        timers.append(seconds)
        return asyncio.timeout(seconds)

    monkeypatch.setattr(body, "asyncio", SimpleNamespace(timeout=timeout))
    head = b"POST /start-job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    for one in (head + b"\r\n", head + b"Content-Length: 2\r\n\r\n{}"):
        assert (await plain.exchange(one)).startswith(b"HTTP/1.1 200 ")
    assert timers == []
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(head + b"Content-Length: 2\r\n\r\n")
    await until(lambda: timers)
    writer.write(b"{}")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
