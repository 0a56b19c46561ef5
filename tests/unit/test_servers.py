"""The servers of the tests themselves: what a kill loses, what a restart keeps, and that none is left over."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from support.servers import Server


def write(server: Server, key: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set(key, "1")


def keys(server: Server) -> set[bytes]:
    with redis.Redis.from_url(server.url) as client:
        return set(client.keys("*"))


def test_restart_after_a_kill_keeps_what_was_synced(make_server: Callable[..., Server]) -> None:
    server = make_server(appendonly=True, appendfsync="always")
    port, pid = server.port, server.pid
    write(server, "kept")

    server.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    server.restart()

    assert (server.port, keys(server)) == (port, {b"kept"})
    assert server.pid != pid


def test_without_appendonly_a_restart_is_empty(make_server: Callable[..., Server]) -> None:
    server = make_server()
    write(server, "lost")
    assert keys(server.restart()) == set()


def test_flush_empties_it(make_server: Callable[..., Server]) -> None:
    server = make_server()
    write(server, "gone")
    server.flush()
    assert keys(server) == set()


def test_a_paused_server_answers_after_it_is_resumed(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.pause()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as connection:
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        server.resume()
        connection.settimeout(5)
        assert connection.recv(100) == b"+PONG\r\n"


def test_a_paused_server_can_be_stopped(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.pause()
    server.stop()
    assert not server.running


def test_tls_is_answered_only_to_clients_that_trust_the_authority(tls_server: Server) -> None:
    with redis.Redis.from_url(tls_server.url, ssl_ca_certs=str(tls_server.ca_file)) as client:
        assert client.ping()
    with (
        socket.create_connection(("127.0.0.1", tls_server.port), timeout=5) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_wrong_setting_is_told_with_the_servers_own_words(make_server: Callable[..., Server]) -> None:
    with pytest.raises(RuntimeError, match="no-such-setting"):
        make_server(config={"no-such-setting": "1"})


def test_a_server_outlives_the_thread_that_started_it(make_server: Callable[..., Server]) -> None:
    servers: list[Server] = []
    thread = threading.Thread(target=lambda: servers.append(make_server()))
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert keys(servers[0]) == set()


def test_a_server_dies_with_the_process_that_started_it(valkey_binary: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from support.servers import Server\n"
        "print(Server(Path(sys.argv[1]), Path(sys.argv[2])).start().pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(valkey_binary), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    with parent:
        assert parent.stdout is not None
        server_pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert _ends(server_pid)


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        # In a container nobody may reap the orphan; a zombie has ended all the same.
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
