"""One connection, over which commands go in groups: all in one trip, and again when an answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from async_job.errors import (
    AsyncJobError,
    LeaseOver,
    NotEnrolled,
    StaleClaim,
    StoreBroken,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from async_job.store.redis import scripts
from async_job.store.redis.record import Field
from async_job.store.redis.server_time import elapsed

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
BLOCK_SLACK: Final = 5.0

ANOTHER_SERVER: Final = (ReadOnlyError, MasterDownError)
"""The server is (no longer) the one that writes; a new connection may find the one that does."""
NOT_NOW: Final = (*ANOTHER_SERVER, TryAgainError, ClusterDownError)
NOT_NOW_CODES: Final = ("BUSY ", "NOREPLICAS ")
"""The errors of that kind for which the driver has no class."""

WORKER_ERRORS: Final[dict[str, type[AsyncJobError]]] = {
    "NOTENROLLED": NotEnrolled,
    "LEASEOVER": LeaseOver,
    "STALECLAIM": StaleClaim,
}


class Command(NamedTuple):
    """A command, and what becomes of its answer. Whatever is sent this way may be sent twice."""

    arguments: tuple[Field, ...]
    settle: Callable[[Any], None]
    fail: Callable[[BaseException], None]


def _ignore(_: Any) -> None:
    """What SCRIPT LOAD answers is known beforehand."""


def is_passing(error: ResponseError) -> bool:
    """The server did nothing and will do it later, or another server does."""
    return isinstance(error, NOT_NOW) or str(error).startswith(NOT_NOW_CODES)


def meaning(error: BaseException) -> AsyncJobError:
    """An error of the server or the connection in our own words."""
    text = str(error)
    code, _, rest = text.partition(" ")
    if code in WORKER_ERRORS:
        return WORKER_ERRORS[code](rest)
    if isinstance(error, OutOfMemoryError):
        return StoreFull("Redis is at its `maxmemory`: nothing was written; raise it, or wait until jobs are purged")
    if code == "MISCONF":
        return StoreUnavailable(f"Redis refuses writes because it cannot save to disk; look into its log ({text})")
    if isinstance(error, AuthenticationError | NoPermissionError):
        return StoreRefused(f"Redis refuses this user or password ({text})")
    if isinstance(error, ResponseError):
        return StoreBroken(f"Redis refused a command in an unforeseen way: {text}")
    return StoreUnavailable(f"Redis cannot be reached or does not answer ({text or type(error).__name__})")


class Link:
    """``connect`` makes a connection that is connected. Exchanges are sent as they come, without waiting for the
    answers of those before, and the answers come in the same order.

    An exchange that fails is repeated with short pauses until ``patience`` seconds have passed; each try may take half
    of that. What is cut off in the middle, by an error, a timeout or a cancellation, leaves no half-read connection:
    it is let go, and whoever else waits for an answer on it asks again on the next.
    """

    def __init__(self, connect: Callable[[], Awaitable[AbstractConnection]], patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._connection: AbstractConnection | None = None
        self._sending = asyncio.Lock()
        self._reading = asyncio.Lock()
        self.sent_at = 0.0
        """When that was sent whose answers are being read, by ``elapsed``."""

    async def exchange(self, commands: Sequence[Command], block: float = 0.0) -> None:
        """Sends all in one trip and settles or fails each. ``block``: how many seconds the server waits on purpose."""
        pending = list(commands)
        give_up = elapsed() + block + self._patience
        pause = FIRST_PAUSE
        attempt_timeout = block + BLOCK_SLACK if block else self._patience / 2
        while pending:
            again: list[Command] = []
            try:
                cause = await self._trip(pending, again, attempt_timeout)
            except (RedisError, OSError, TimeoutError) as error:
                cause = error
                if isinstance(error, AuthenticationError):
                    give_up = 0.0
            pending = again + pending
            if cause is None or not pending:
                continue
            if elapsed() >= give_up:
                for command in pending:
                    command.fail(meaning(cause) if not isinstance(cause, ResponseError) else _unavailable(cause))
                return
            if isinstance(cause, NoScriptError):
                pending[:0] = [Command(load, _ignore, _ignore) for load in scripts.LOAD]
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _trip(self, pending: list[Command], again: list[Command], timeout: float) -> BaseException | None:
        """Takes from ``pending`` what was answered; what the server will answer later goes to ``again``, and the
        reason is returned."""
        connection: AbstractConnection | None = None
        try:
            async with asyncio.timeout(timeout):
                async with self._sending:
                    connection = self._connection
                    if connection is None:
                        connection = self._connection = await self._connect()
                    sent_at = elapsed()
                    packed = [_pack(command.arguments) for command in pending]
                    await connection.send_packed_command(packed, check_health=False)
                # Whoever sends first stands here first.
                async with self._reading:
                    if connection is not self._connection:
                        raise ConnectionError("the connection was lost before it was this exchange's turn")
                    self.sent_at = sent_at
                    cause = await self._read(connection, pending, again)
        except BaseException:
            await self._let_go(connection)
            raise
        if isinstance(cause, ANOTHER_SERVER):
            await self._let_go(connection)
        return cause

    async def _read(
        self, connection: AbstractConnection, pending: list[Command], again: list[Command]
    ) -> BaseException | None:
        cause: BaseException | None = None
        while pending:
            try:
                reply = await connection.read_response()
            except ResponseError as error:
                command = pending.pop(0)
                if isinstance(error, NoScriptError) or is_passing(error):
                    again.append(command)
                    cause = error
                else:
                    command.fail(meaning(error))
            else:
                pending.pop(0).settle(reply)
        return cause

    async def ask(self, *commands: tuple[Field, ...], block: float = 0.0) -> list[Any]:
        """The answers to these commands; an error that a command is answered with is raised."""
        answers = await self.try_ask(*commands, block=block)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def try_ask(self, *commands: tuple[Field, ...], block: float = 0.0) -> list[Any]:
        """The answers to these commands, errors among them."""
        answers: list[Any] = [None] * len(commands)

        def settler(at: int) -> Callable[[Any], None]:
            def settle(answer: Any) -> None:
                answers[at] = answer

            return settle

        group = [Command(command, settler(at), settler(at)) for at, command in enumerate(commands)]
        await self.exchange(group, block)
        return answers

    async def drop(self) -> None:
        """Lets go of the connection; the next exchange makes a new one."""
        await self._let_go(self._connection)

    async def _let_go(self, connection: AbstractConnection | None) -> None:
        if connection is not None and connection is self._connection:
            self._connection = None
            await connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Lets go of the connection and waits until it is closed, which takes a trip with TLS."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect()


def _pack(arguments: tuple[Field, ...]) -> bytes:
    pack: Callable[[tuple[Field, ...]], bytes] = cast(Any, hiredis.pack_command)
    try:
        return pack(arguments)
    except UnicodeEncodeError:
        # Half a surrogate pair is sent as it is: an id may be any text.
        return pack(tuple(one.encode("utf-8", "surrogatepass") if isinstance(one, str) else one for one in arguments))


def _unavailable(error: ResponseError) -> StoreUnavailable:
    return StoreUnavailable(f"Redis is there but does not do it now ({error})")
