"""Clients that would like to speak another protocol, HTTP/2 or a WebSocket, are answered in this one."""

import asyncio
import re

import pytest

from async_job.web.connection import Connection
from support.until import until
from support.web import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
WEBSOCKET = (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
HIDDEN = b"POST /start-job HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
INPUT = b'{"anything":"%b"}' % HIDDEN
PADDED = HIDDEN.replace(b"\\r\\n", b"\r\n") + b" "
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def start(wish: bytes, *, chunked: bool, body: bytes = INPUT) -> tuple[bytes, bytes]:
    """The head and the body of a request that starts a job."""
    head = b"POST /v1/job-types/keep/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + wish
    if not chunked:
        return head + b"Content-Length: %d\r\n\r\n" % len(body), body
    pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:10], body[10:], b"")]
    return head + b"Transfer-Encoding: chunked\r\n\r\n", b"".join(pieces)


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize("wish", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
async def test_a_wish_for_another_protocol_does_not_count(
    plain: Site, caplog: pytest.LogCaptureFixture, wish: bytes, chunked: bool
) -> None:
    head, body = start(wish, chunked=chunked)
    answer = await plain.exchange(head + body + head + body + LAST)
    assert statuses(answer) == [202, 202, 200]
    assert answer.count(b'"input":' + INPUT) == 2
    assert not caplog.records


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
@pytest.mark.parametrize("more", [0, 15], ids=["head", "head and a little"])
async def test_nor_when_the_body_comes_later(plain: Site, chunked: bool, more: int) -> None:
    before = set(plain.server.server_state.connections)
    head, body = start(H2C, chunked=chunked)
    reader, writer = await asyncio.open_connection("127.0.0.1", plain.port)
    writer.write(head[:100])
    await until(lambda: set(plain.server.server_state.connections) - before)
    [served] = set(plain.server.server_state.connections) - before
    assert isinstance(served, Connection)
    await until(lambda: served.in_head)
    writer.write(head[100:] + body[:more])
    await until(lambda: served.cycle is not None)
    writer.write(body[more:] + LAST)
    answer = await reader.read()
    assert statuses(answer) == [202, 200]
    assert b'"input":' + INPUT in answer
    writer.close()


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
async def test_a_body_is_never_a_request(plain: Site, chunked: bool) -> None:
    head, body = start(H2C, chunked=chunked, body=PADDED)
    answer = await plain.exchange(head + body + LAST)
    assert statuses(answer) == [400, 200]
    assert b'"code":"malformed_json"' in answer


async def test_a_request_without_a_body_has_none(plain: Site) -> None:
    one = b"POST /start-job HTTP/1.1\r\nHost: localhost\r\n" + H2C + b"\r\n"
    assert statuses(await plain.exchange(one * 20 + LAST)) == [200] * 21


@pytest.mark.parametrize("target", [b"localhost:80", b"/start-job"])
async def test_this_is_no_proxy(plain: Site, target: bytes) -> None:
    answer = await plain.exchange(b"CONNECT %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target + LAST)
    assert statuses(answer) == [400]
    assert b'"code":"malformed_http"' in answer
